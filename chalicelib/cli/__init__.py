"""The operators' verbs; never imported by a Lambda."""
