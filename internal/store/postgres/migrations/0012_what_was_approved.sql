-- An approval is of an operation in its context: the channel, the device and the reason are what its approver judged, too.
-- The reason has a column already. What was asked before is about what it said then.
ALTER TABLE crm_access.request ADD COLUMN channel text NOT NULL DEFAULT '', ADD COLUMN device text NOT NULL DEFAULT '';

UPDATE crm_access.request
SET channel = coalesce(question #>> '{Context,Channel}', ''), device = coalesce(question #>> '{Context,Device}', '');

-- The people who have said yes to just this question, by the request that the context names: while it is open, unused, and
-- nobody has said no. One about a record that has no id yet, or about a share, fits nothing here: its digest is the
-- decision API's.
CREATE OR REPLACE FUNCTION crm_access.approved_by(q crm_access.question, fields text[]) RETURNS text[]
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    RETURN ARRAY(
        SELECT a.approver FROM crm_access.request AS r
        JOIN crm_access.answer AS a ON a.tenant = r.tenant AND a.request = r.id
        WHERE r.tenant = q.tenant AND r.id = crm_access.text_of(q.context -> 'approval')
            AND r.not_before <= q.at AND r.not_after > q.at AND r.used_at IS NULL
            AND r.subject = q.subject AND r.action = q.action AND r.object = q.object AND r.record_id = q.id AND r.proposed = ''
            AND (q.record IS NULL OR q.id <> '')
            AND r.target_user = crm_access.text_of(q.context -> 'target' -> 'user')
            AND r.target_department = crm_access.text_of(q.context -> 'target' -> 'department')
            AND r.channel = crm_access.text_of(q.context -> 'channel') AND r.device = crm_access.text_of(q.context -> 'device')
            AND r.reason = crm_access.text_of(q.context -> 'reason')
            AND coalesce(r.rows >= (q.context ->> 'rows')::numeric, r.rows IS NULL AND q.context ->> 'rows' IS NULL)
            AND (r.fields IS NULL OR cardinality(approved_by.fields) > 0 AND approved_by.fields <@ r.fields)
            AND NOT EXISTS (SELECT FROM crm_access.answer AS n WHERE n.tenant = r.tenant AND n.request = r.id AND NOT n.approves));
END
$$;
