"""Bytes to records: one file per format, each checking sizes and checksums before it decodes."""
