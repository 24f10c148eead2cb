-- Who shares a record is a party also to what is done with a field that the share alone gives so much of: who may update
-- by a grant of their own, and edit a field by a share, needs somebody else's approval than its maker's.

-- The parties by what covers the action and gives the fields: the subject first, then the makers of the shares without
-- which the answer would be less.
CREATE FUNCTION crm_access.parties_to(q crm_access.question, covers crm_access.coverage[], actions text[], fields text[], classes text[]) RETURNS text[]
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    parties text[] := ARRAY[q.subject];
    own constant crm_access.coverage[] := ARRAY(SELECT c FROM unnest(covers) AS c WHERE c.maker IS NULL);
    answered boolean;
    levels text[];
    sharing text;
    joint crm_access.coverage[];
BEGIN
    IF cardinality(own) = cardinality(covers) THEN
        RETURN parties;
    END IF;
    answered := EXISTS (SELECT FROM unnest(own) AS c WHERE c.answers);
    levels := (crm_access.check_fields(q, own, actions, fields, classes)).levels;
    FOR sharing IN SELECT DISTINCT c.maker COLLATE "C" FROM unnest(covers) AS c WHERE c.maker <> q.subject ORDER BY 1 LOOP
        joint := own || ARRAY(SELECT c FROM unnest(covers) AS c WHERE c.maker = sharing);
        IF NOT answered AND EXISTS (SELECT FROM unnest(joint) AS c WHERE c.answers)
            -- of a list a share narrows the levels
            OR q.record IS NOT NULL AND (crm_access.check_fields(q, joint, actions, fields, classes)).levels <> levels THEN
            parties := parties || sharing;
        END IF;
    END LOOP;
    RETURN parties;
END
$$;

-- As before; the parties are those of the fields too.
CREATE OR REPLACE FUNCTION crm_access.weigh(
    q crm_access.question, actions text[], fields text[], classes text[], approved_by text[], OUT decision text, OUT levels text[], OUT reasons text[], OUT needs jsonb[])
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    covers constant crm_access.coverage[] := ARRAY(SELECT c FROM crm_access.covering(q) AS c)
        || ARRAY(SELECT c FROM crm_access.shared(q, actions) AS c);
    reach constant integer := (SELECT max(c.reach) FROM unnest(covers) AS c WHERE c.answers);
    checked record;
BEGIN
    q.parties := crm_access.parties_to(q, covers, actions, fields, classes);
    needs := ARRAY(
        SELECT n.need || jsonb_build_object('parties', q.parties)
        FROM unnest(crm_access.asking_approval(q, coalesce(reach, 0))) WITH ORDINALITY AS n (need, place) ORDER BY n.place);
    reasons := crm_access.forbidding(q);
    IF reach IS NULL THEN
        reasons := reasons || format('no grant covers %s on %s', q.action, q.object);
    END IF;
    IF cardinality(needs) > 16 THEN
        reasons := reasons || 'more than 16 rules of guardrails ask for an approval each'::text; -- nobody is asked in vain
    END IF;
    checked := crm_access.check_fields(q, covers, actions, fields, classes);
    reasons := reasons || checked.denials;
    IF cardinality(reasons) > 0 THEN
        decision := 'deny';
    ELSIF cardinality(needs) > 0 AND NOT crm_access.is_approved(q, needs, approved_by) THEN
        decision := 'needs-approval';
        reasons := crm_access.needs_text(q, covers, needs) || crm_access.grants_text(q, covers);
    ELSE
        decision := 'allow';
        levels := checked.levels;
        reasons := crm_access.grants_text(q, covers) || checked.held;
    END IF;
END
$$;

DROP FUNCTION crm_access.parties_to(crm_access.question, crm_access.coverage[]);

REVOKE EXECUTE ON FUNCTION crm_access.parties_to FROM PUBLIC;
