"""Where the stock runtime starts; on the path of a function as LAMBDA_RUNTIME_DIR."""
