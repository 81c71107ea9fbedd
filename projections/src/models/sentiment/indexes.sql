-- What questions about sentiment are answered by.
CREATE INDEX sentiment_call_position ON sentiment (call_id, position);
CREATE INDEX sentiment_position ON sentiment (position);
