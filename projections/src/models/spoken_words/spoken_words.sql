-- Words to search for: one row a segment of a transcript, whether it still stands or not.

CREATE TABLE spoken_words (
    position bigint   NOT NULL,   -- of the event that added the segment
    call_id  uuid     NOT NULL,
    sequence bigint   NOT NULL,   -- of the segment in its transcript
    -- Words as they stand, without stemming and stop words: calls are in many languages, and a search for a name or a
    -- product must find exactly that. The same configuration is used for the question. Personal.
    words    tsvector NOT NULL,   -- to_tsvector('simple', text), or the same made outside
    CONSTRAINT spoken_words_key PRIMARY KEY (position)
);
