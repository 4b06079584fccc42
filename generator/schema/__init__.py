"""The models of a spec and of a profile: strict and frozen, one module for each subject."""
