package main

import "github.com/pgark/pgark/internal/pgtest"

// demoSchema makes a small shop on the coordinator: many kinds of objects. The large table of visits lies on three shards, by
// region, and most of it on one of them. Money is in two tables, accounts on the shards and savings on the coordinator; the
// writer moves it about, so that the sum of all is constant at every moment and a dump that mixes moments is found out.
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
CREATE TABLE shop.orders_rest PARTITION OF shop.orders DEFAULT;
CREATE TABLE shop."Strange ""names"", and values" ("a column" text, "tab	column" text);
CREATE TABLE shop.savings (id int PRIMARY KEY, cents bigint NOT NULL);
CREATE VIEW shop.rich AS SELECT id, cents FROM shop.savings WHERE cents > 1000000;
CREATE SEQUENCE shop.invoice START 1000;
CREATE FUNCTION shop.note() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN NEW.name := trim(NEW.name); RETURN NEW; END $$;
CREATE TRIGGER tidy BEFORE INSERT OR UPDATE ON shop.customer FOR EACH ROW EXECUTE FUNCTION shop.note();
ALTER TABLE shop.savings ENABLE ROW LEVEL SECURITY;
CREATE POLICY everybody ON shop.savings USING (true);
`

// demoTotal is all the money there is.
const demoTotal = "SELECT (SELECT sum(cents) FROM shop.account) + (SELECT sum(cents) FROM shop.savings)"

// demoMoney is what demoTotal always gives.
const demoMoney = "200000000"

// region is a part of the shop's world; its visits are on one shard.
type region struct {
	name   string
	visits int
}

// demoRegions are the regions in the order of their shards. Most happens in one of them.
func demoRegions() []region {
	return []region{{"north", 300_000}, {"south", 120_000}, {"west", 60_000}}
}

// demoRows fills the coordinator's tables.
const demoRows = `
INSERT INTO shop.customer (name, email, born, tags, notes)
  SELECT 'customer ' || i, 'c' || i || '@example.org', date '1950-01-01' + i % 20000,
    ARRAY['t' || i % 7, NULL, 'with "quotes", commas'], jsonb_build_object('visits', i % 50, 'vip', i % 100 = 0)
  FROM generate_series(1, 20000) i;
INSERT INTO shop.product (id, name, price, picture)
  SELECT i, 'product ' || i, (i * 37 % 10000) / 100.0, decode(md5(i::text) || md5((i + 1)::text), 'hex')
  FROM generate_series(1, 2000) i;
INSERT INTO shop.orders (id, customer, ordered, state)
  SELECT i, 1 + i % 20000, timestamptz '2024-01-01 00:00+00' + i * interval '17 minutes',
    (ARRAY['new', 'paid', 'sent', 'returned'])[1 + i % 4]::shop.state
  FROM generate_series(1, 50000) i;
INSERT INTO shop."Strange ""names"", and values" VALUES ('', NULL), (E'tab\tnewline\nbackslash\\', '\.'), ('ünïcödé', '\N');
INSERT INTO shop.account SELECT i, 100000 FROM generate_series(1, 1000) i;
INSERT INTO shop.savings SELECT i, 100000 FROM generate_series(1, 1000) i;
SELECT nextval('shop.invoice') FROM generate_series(1, 42);
SELECT lo_from_bytea(0, decode(repeat(md5('large'), 20000), 'hex'));
CREATE MATERIALIZED VIEW shop.per_state AS SELECT state, count(*) FROM shop.orders GROUP BY state;
CREATE INDEX ON shop.orders (customer);
ANALYZE shop.customer, shop.product, shop.orders, shop.savings;
`

// demoAccount is spread evenly over the shards.
func demoAccount() pgtest.Table {
	return pgtest.Table{
		Schema: "shop", Name: "account", Columns: "id int NOT NULL, cents bigint NOT NULL", Key: "id",
		Remote: "ALTER TABLE shop.account ADD PRIMARY KEY (id);",
	}
}

const demoVisitColumns = "region text NOT NULL, id bigint NOT NULL, at timestamptz NOT NULL, page text, took double precision, referrer text"

// demoVisitShard makes a shard's part of the visits.
const demoVisitShard = "CREATE TABLE shop.visit (" + demoVisitColumns + ");"

// demoVisits makes visits of one region, on its shard.
const demoVisits = `
INSERT INTO shop.visit
  SELECT '%[1]s', i, timestamptz '2025-01-01 00:00+00' + i * interval '3 seconds', '/product/' || i * 7 %% 2000 || '?view=' || i %% 13,
    (i * 31 %% 100000) / 7.0, 'https://www.example.org/search?q=' || md5((i %% 5000)::text)
  FROM generate_series(1, %[2]d) i;
ALTER TABLE shop.visit ADD PRIMARY KEY (id);`

// demoVisit is the whole of the visits on the coordinator.
const demoVisit = "CREATE TABLE shop.visit (" + demoVisitColumns + `) PARTITION BY LIST (region);
CREATE FOREIGN TABLE shop.visit_north PARTITION OF shop.visit FOR VALUES IN ('north') SERVER shard1 OPTIONS (table_name 'visit');
CREATE FOREIGN TABLE shop.visit_south PARTITION OF shop.visit FOR VALUES IN ('south') SERVER shard2 OPTIONS (table_name 'visit');
CREATE FOREIGN TABLE shop.visit_west PARTITION OF shop.visit FOR VALUES IN ('west') SERVER shard3 OPTIONS (table_name 'visit');
`

// demoMove moves money between two accounts, mostly on different shards, and the savings on the coordinator.
const demoMove = `
BEGIN;
UPDATE shop.account SET cents = cents - 17 WHERE id = %[1]d;
UPDATE shop.account SET cents = cents + 11 WHERE id = %[2]d;
UPDATE shop.savings SET cents = cents + 6 WHERE id = %[2]d;
COMMIT;`
