"""Context: from a folder of documents to the passages that may answer a question.

``python -m services.context DOCS`` makes an index; `open_context` opens one. Importing this
package costs neither numpy nor a model.
"""

from .opening import open_context
from .retrieval import Library
from .stores.store import RetrievalError

__all__ = ["Library", "RetrievalError", "open_context"]
