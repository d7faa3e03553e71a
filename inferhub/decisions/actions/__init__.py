"""The kinds of action that an outcome can cause: `base` says what one is, `registry` finds them by name."""
