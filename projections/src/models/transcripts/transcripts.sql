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
    CONSTRAINT transcripts_key PRIMARY KEY (call_id, sequence),
    CONSTRAINT transcripts_speaker CHECK (speaker IN ('customer', 'agent'))
);
