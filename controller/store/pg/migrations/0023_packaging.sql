-- The platforms of channels; domain::IsChannelPlatform knows the same.
CREATE FUNCTION is_channel(platform text) RETURNS boolean
  LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN platform IN ('email', 'page', 'webhook', 'wecom', 'dingtalk', 'feishu');
ALTER TABLE targets DROP CONSTRAINT targets_check;
ALTER TABLE targets ADD CONSTRAINT targets_check CHECK ((channel IS NOT NULL) = is_channel(platform));

-- How the packages that a run's channels hand on are made: an object; {} for plain zip files. A
-- password in it is sealed for the farm.
ALTER TABLE runs ADD COLUMN packaging jsonb NOT NULL DEFAULT '{}';

-- argon2id of what the visitors of a page have to say first; '' for nothing.
ALTER TABLE release_pages ADD COLUMN password_hash text NOT NULL DEFAULT '';
