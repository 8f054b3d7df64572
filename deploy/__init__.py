"""From this tree to a deployed stack: the package, the template that is sent, the policy checks.

Runs on a laptop or in CI, never in the cloud. docs/deploying.md is the manual.
"""
