"""The default producer: a question is answered from documents, or from a recording."""
