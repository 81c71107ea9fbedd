-- Sentiment: what models made of the segments of transcripts, one row a segment and model.

CREATE TABLE sentiment (
    call_id       uuid             NOT NULL,
    segment       bigint           NOT NULL,   -- sequence in the transcript
    speaker       text             NOT NULL,
    begin_ms      bigint           NOT NULL,   -- from the start of the call
    end_ms        bigint           NOT NULL,
    score         double precision NOT NULL,   -- -1 to 1
    emotions      jsonb            NOT NULL,   -- share of each, 0 to 1, by the name the model gives it
    model         text             NOT NULL,   -- scores of different models can't be compared
    model_version text             NOT NULL,
    occurred_at   timestamptz      NOT NULL,
    position      bigint           NOT NULL,
    CONSTRAINT sentiment_key PRIMARY KEY (call_id, segment, model, model_version),
    CONSTRAINT sentiment_speaker CHECK (speaker IN ('customer', 'agent'))
);

-- Segments that have been corrected: what was scored of them counts no more, also when the score comes later.
CREATE TABLE sentiment_superseded (
    call_id  uuid   NOT NULL,
    segment  bigint NOT NULL,
    position bigint NOT NULL,   -- of the correction
    CONSTRAINT sentiment_superseded_key PRIMARY KEY (call_id, segment)
);
