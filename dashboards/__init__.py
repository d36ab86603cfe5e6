"""The live page: HTML, scripts and styles that the API serves."""
