-- $1: what the batch adds, as a JSON array. Sums of whole numbers, so that it does not matter how batches are cut.
INSERT INTO dashboard_days AS stored
SELECT * FROM jsonb_populate_recordset(NULL::dashboard_days, $1)
ON CONFLICT ON CONSTRAINT dashboard_days_key DO UPDATE SET
    offered = stored.offered + EXCLUDED.offered,
    answered = stored.answered + EXCLUDED.answered,
    answered_in_threshold = stored.answered_in_threshold + EXCLUDED.answered_in_threshold,
    abandoned = stored.abandoned + EXCLUDED.abandoned,
    abandoned_short = stored.abandoned_short + EXCLUDED.abandoned_short,
    abandoned_in_threshold = stored.abandoned_in_threshold + EXCLUDED.abandoned_in_threshold,
    flow_outs = stored.flow_outs + EXCLUDED.flow_outs,
    ended_waiting = stored.ended_waiting + EXCLUDED.ended_waiting,
    wait_ms_sum = stored.wait_ms_sum + EXCLUDED.wait_ms_sum,
    wait_ms_max = greatest(stored.wait_ms_max, EXCLUDED.wait_ms_max),
    handled = stored.handled + EXCLUDED.handled,
    talk_ms_sum = stored.talk_ms_sum + EXCLUDED.talk_ms_sum,
    hold_ms_sum = stored.hold_ms_sum + EXCLUDED.hold_ms_sum,
    consult_ms_sum = stored.consult_ms_sum + EXCLUDED.consult_ms_sum,
    wrap_up_ms_sum = stored.wrap_up_ms_sum + EXCLUDED.wrap_up_ms_sum,
    position = greatest(stored.position, EXCLUDED.position)
