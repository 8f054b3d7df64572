"""The run log in one DynamoDB table."""
