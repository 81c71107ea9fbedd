-- What questions about transcripts are answered by. The dearest first: a rebuild makes two at a time.
CREATE INDEX transcripts_search ON transcripts USING gin (search);
-- What was added to a call after a position.
CREATE INDEX transcripts_call_position ON transcripts (call_id, position);
-- Newest first, and what was added after a position.
CREATE INDEX transcripts_position ON transcripts (position);
