"""Context: from a folder of documents to the passages that may answer a question.

``python -m services.context DOCS`` makes an index; `open_context` opens one. Importing this
package costs neither numpy nor a model.
"""

from services.context.places import RetrievalError
from services.context.retrieval import Library, open_context

__all__ = ["Library", "RetrievalError", "open_context"]
