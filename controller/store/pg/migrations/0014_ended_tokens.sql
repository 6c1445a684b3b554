-- By when they ended, so that those that have been over for long are found and forgotten. NULL: they
-- have no end yet.
CREATE INDEX logins_over ON logins (least(ended_at, expires_at));
-- A token without an end is kept for ever: that the one of admin.token was revoked must be known at
-- each start, or the file would bring it back.
CREATE INDEX api_tokens_over ON api_tokens (least(revoked_at, expires_at))
  WHERE expires_at IS NOT NULL;

-- "/help/" and "/help" mean the same, and so do "/" and nothing.
INSERT INTO grants AS g (account_id, group_id, application_id, environment, pages, operations)
SELECT account_id, group_id, application_id, environment, rtrim(pages, '/'),
       array_agg(DISTINCT o ORDER BY o)
  FROM grants, unnest(operations) AS o
 WHERE pages LIKE '%/'
 GROUP BY account_id, group_id, application_id, environment, rtrim(pages, '/')
    ON CONFLICT (account_id, group_id, application_id, environment, pages) DO UPDATE
   SET operations = ARRAY(SELECT DISTINCT o FROM unnest(g.operations || excluded.operations) AS o
                           ORDER BY o);
DELETE FROM grants WHERE pages LIKE '%/';
