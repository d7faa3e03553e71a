"""Candidates and what is known of each: the input of the second stage."""
