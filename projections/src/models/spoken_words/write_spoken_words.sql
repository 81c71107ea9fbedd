-- Each segment is told once, so none of them is there yet.
INSERT INTO spoken_words (position, call_id, sequence, words)
SELECT s.position, s.call_id, s.sequence, to_tsvector('simple'::regconfig, s.text)
  FROM unnest($1::bigint[], $2::uuid[], $3::bigint[], $4::text[]) AS s (position, call_id, sequence, text)
