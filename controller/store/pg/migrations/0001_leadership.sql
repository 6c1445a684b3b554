-- Who leads. One row: `epoch` is the number of the newest term; see controller/store/pg/leadership.h.
CREATE TABLE leadership (
  only_row     boolean     PRIMARY KEY DEFAULT true CHECK (only_row),
  epoch        bigint      NOT NULL,
  holder       text        NOT NULL,
  heartbeat_at timestamptz NOT NULL
);

INSERT INTO leadership (epoch, holder, heartbeat_at) VALUES (0, '', '-infinity');
