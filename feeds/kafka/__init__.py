"""The only package that imports the Kafka client. No object connects before its first use."""
