-- $1: rows as a JSON array. Each segment is told once, so none of them is there yet.
INSERT INTO transcripts (call_id, sequence, speaker, begin_ms, end_ms, text, confidence, model, supersedes, superseded_by,
                         reason, occurred_at, position)
SELECT call_id, sequence, speaker, begin_ms, end_ms, text, confidence, model, supersedes, superseded_by, reason,
       occurred_at, position
  FROM jsonb_populate_recordset(NULL::transcripts, $1)
