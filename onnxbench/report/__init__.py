"""Records → what people read: terminal tables, CSV, Markdown, JSON.

Opens no store, measures nothing: functions take records and return text or rich renderables.
"""
