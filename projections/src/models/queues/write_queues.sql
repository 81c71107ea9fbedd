-- Counts those who wait in the queues named, after the entries were written.
-- $1: ids, $2: names, $3: positions of the last events about them.
INSERT INTO queues AS stored (queue_id, name, waiting, oldest_enqueued_at, position)
SELECT changed.queue_id, changed.name, now.waiting, now.oldest_enqueued_at, changed.position
  FROM unnest($1::uuid[], $2::text[], $3::bigint[]) AS changed (queue_id, name, position)
 CROSS JOIN LATERAL (
       SELECT count(*)::integer AS waiting, min(e.enqueued_at) AS oldest_enqueued_at
         FROM queue_entries e
        WHERE e.queue = changed.name AND e.left_at IS NULL) AS now
ON CONFLICT ON CONSTRAINT queues_key DO UPDATE SET
    waiting = EXCLUDED.waiting,
    oldest_enqueued_at = EXCLUDED.oldest_enqueued_at,
    position = greatest(stored.position, EXCLUDED.position)
