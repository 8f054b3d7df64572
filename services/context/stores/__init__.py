"""Where an index may be kept: a folder, S3, S3 Vectors; one module each."""
