"""What a strategy imports: a blocking client and a trio client. They know the contract and nothing else of ours."""
