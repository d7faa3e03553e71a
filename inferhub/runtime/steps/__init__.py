"""The steps that may stand before and behind a model: `base` says what one is, `registry` finds them by name."""
