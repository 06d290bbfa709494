package main

// demoSchema makes a small shop: many kinds of objects, a few hundred thousand rows. Money is in two tables, and the writer
// moves it between them, so that the sum of both is constant at every moment and a dump that mixes moments is found out.
const demoSchema = `
CREATE SCHEMA shop;
COMMENT ON SCHEMA shop IS 'sample data of pgark demo';
CREATE TYPE shop.state AS ENUM ('new', 'paid', 'sent', 'returned');
CREATE DOMAIN shop.email AS text CHECK (VALUE ~ '@');
CREATE TABLE shop.customer (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text NOT NULL,
  email shop.email UNIQUE,
  born date,
  tags text[],
  notes jsonb
);
CREATE TABLE shop.product (
  id int PRIMARY KEY,
  name text NOT NULL,
  price numeric(10,2) CHECK (price >= 0),
  price_with_tax numeric(10,2) GENERATED ALWAYS AS (price * 1.19) STORED,
  picture bytea
);
CREATE TABLE shop.orders (
  id bigint NOT NULL,
  customer bigint NOT NULL REFERENCES shop.customer,
  ordered timestamptz NOT NULL,
  state shop.state NOT NULL DEFAULT 'new',
  PRIMARY KEY (id, ordered)
) PARTITION BY RANGE (ordered);
CREATE TABLE shop.orders_2024 PARTITION OF shop.orders FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE shop.orders_2025 PARTITION OF shop.orders FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE shop.orders_rest PARTITION OF shop.orders DEFAULT;
CREATE TABLE shop.line (
  order_id bigint NOT NULL,
  position int NOT NULL,
  product int NOT NULL REFERENCES shop.product,
  amount int NOT NULL,
  weight double precision,
  PRIMARY KEY (order_id, position)
);
CREATE TABLE shop."Strange ""names"", and values" ("a column" text, "tab	column" text);
CREATE TABLE shop.account (id int PRIMARY KEY, cents bigint NOT NULL);
CREATE TABLE shop.savings (id int PRIMARY KEY, cents bigint NOT NULL);
CREATE VIEW shop.rich AS SELECT id, cents FROM shop.account WHERE cents > 1000000;
CREATE SEQUENCE shop.invoice START 1000;
CREATE FUNCTION shop.total() RETURNS numeric LANGUAGE sql STABLE AS
  $$ SELECT (SELECT sum(cents) FROM shop.account) + (SELECT sum(cents) FROM shop.savings) $$;
CREATE FUNCTION shop.note() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN NEW.name := trim(NEW.name); RETURN NEW; END $$;
CREATE TRIGGER tidy BEFORE INSERT OR UPDATE ON shop.customer FOR EACH ROW EXECUTE FUNCTION shop.note();
ALTER TABLE shop.savings ENABLE ROW LEVEL SECURITY;
CREATE POLICY everybody ON shop.savings USING (true);
`

// demoRows fills the tables.
const demoRows = `
INSERT INTO shop.customer (name, email, born, tags, notes)
  SELECT 'customer ' || i, 'c' || i || '@example.org', date '1950-01-01' + i % 20000,
    ARRAY['t' || i % 7, NULL, 'with "quotes", commas'], jsonb_build_object('visits', i % 50, 'vip', i % 100 = 0)
  FROM generate_series(1, 50000) i;
INSERT INTO shop.product (id, name, price, picture)
  SELECT i, 'product ' || i, (i * 37 % 10000) / 100.0, decode(md5(i::text) || md5((i + 1)::text), 'hex')
  FROM generate_series(1, 2000) i;
INSERT INTO shop.orders (id, customer, ordered, state)
  SELECT i, 1 + i % 50000, timestamptz '2024-01-01 00:00+00' + i * interval '7 minutes',
    (ARRAY['new', 'paid', 'sent', 'returned'])[1 + i % 4]::shop.state
  FROM generate_series(1, 150000) i;
INSERT INTO shop.line (order_id, position, product, amount, weight)
  SELECT i, p, 1 + (i * 7 + p) % 2000, 1 + i % 5, i / 3.0
  FROM generate_series(1, 100000) i, generate_series(1, 2) p;
INSERT INTO shop."Strange ""names"", and values" VALUES ('', NULL), (E'tab\tnewline\nbackslash\\', '\.'), ('ünïcödé', '\N');
INSERT INTO shop.account SELECT i, 100000 FROM generate_series(1, 1000) i;
INSERT INTO shop.savings SELECT i, 100000 FROM generate_series(1, 1000) i;
SELECT nextval('shop.invoice') FROM generate_series(1, 42);
SELECT lo_from_bytea(0, decode(repeat(md5('large'), 20000), 'hex'));
CREATE MATERIALIZED VIEW shop.per_state AS SELECT state, count(*) FROM shop.orders GROUP BY state;
CREATE INDEX ON shop.orders (customer);
CREATE INDEX ON shop.line (product);
CREATE STATISTICS shop.line_stats ON order_id, product FROM shop.line;
ANALYZE;
`

// demoMove moves money between the two tables, in one transaction.
const demoMove = `
BEGIN;
UPDATE shop.account SET cents = cents - 17 WHERE id = %[1]d;
UPDATE shop.savings SET cents = cents + 17 WHERE id = %[2]d;
COMMIT;`
