-- Transcripts: what was said, one row a segment. A corrected segment stays, marked by the one that took its place.

CREATE TABLE transcripts (
    call_id       uuid             NOT NULL,
    sequence      bigint           NOT NULL,
    speaker       text             NOT NULL,
    begin_ms      bigint           NOT NULL,   -- from the start of the call
    end_ms        bigint           NOT NULL,
    text          text             NOT NULL,   -- personal
    confidence    double precision,            -- 0 to 1
    model         text             NOT NULL,
    supersedes    bigint,
    superseded_by bigint,
    reason        text,                        -- of the correction
    occurred_at   timestamptz      NOT NULL,
    position      bigint           NOT NULL,   -- of the event that added it; being superseded does not move it
    -- Words as they stand, without stemming and stop words: calls are in many languages, and a search for a name or a
    -- product must find exactly that. The same configuration is used for the question.
    search        tsvector         NOT NULL,   -- to_tsvector('simple', text), or the same made outside
    CONSTRAINT transcripts_key PRIMARY KEY (call_id, sequence),
    CONSTRAINT transcripts_speaker CHECK (speaker IN ('customer', 'agent'))
);
