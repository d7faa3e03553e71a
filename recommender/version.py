"""The version that exported models carry."""

VERSION = "0.1.0"
