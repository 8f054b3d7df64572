"""Ingest: from a folder of documents to an index."""
