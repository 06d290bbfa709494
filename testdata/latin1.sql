-- Names and values in LATIN1: for an empty database with that encoding.
--
--   createdb -T template0 -E LATIN1 --locale=C DB && psql -X -v ON_ERROR_STOP=1 -d DB -f testdata/latin1.sql
--
-- This file is UTF-8; the server converts. What it stores has one byte for each letter.
\set QUIET on
\encoding UTF8
SET client_min_messages = error;
SET standard_conforming_strings = on;

COMMENT ON DATABASE :"DBNAME" IS 'Datenbank für alle Fälle';
CREATE SCHEMA "größe";
COMMENT ON SCHEMA "größe" IS 'Schöne Grüße, ±½ÿ';
CREATE TYPE "größe"."farbe" AS ENUM ('grün', 'weiß', 'café');
CREATE FUNCTION "größe"."fünf"("größter" integer DEFAULT 5) RETURNS text LANGUAGE sql IMMUTABLE AS $$SELECT 'é' || $1$$;
CREATE TABLE "größe"."straße, ""ÿ""" (
    "nummer°" integer PRIMARY KEY, "straßenname" text DEFAULT 'Hauptstraße' CHECK ("straßenname" <> 'ÿ'),
    f "größe"."farbe", "übrig" text[], länge text GENERATED ALWAYS AS ("größe"."fünf"("nummer°")) STORED);
INSERT INTO "größe"."straße, ""ÿ""" ("nummer°", "straßenname", f, "übrig")
    SELECT i, 'Straße ' || i || E'\t\\ÿþ', (ARRAY['grün', 'weiß', 'café'])[1 + i % 3]::"größe"."farbe", ARRAY['ä', NULL, '"ö"', E'\\']
    FROM generate_series(1, 200) i;
-- Every letter of the encoding. In the range 128 to 159 they are control characters.
CREATE TABLE public.letters (code integer PRIMARY KEY, letter text NOT NULL);
INSERT INTO public.letters SELECT i, chr(i) FROM generate_series(1, 255) i;
INSERT INTO public.letters SELECT 256, string_agg(letter, '' ORDER BY code) FROM public.letters;
CREATE INDEX "schlüssel" ON "größe"."straße, ""ÿ""" (lower("straßenname"));
CREATE VIEW "größe"."ansicht ä" AS SELECT "nummer°" AS "ö" FROM "größe"."straße, ""ÿ""" WHERE "straßenname" LIKE '%ß%';
CREATE MATERIALIZED VIEW "größe"."gemäß" AS SELECT f, count(*) AS n FROM "größe"."straße, ""ÿ""" GROUP BY f;
CREATE SEQUENCE "größe"."zähler" START 42;
COMMENT ON COLUMN "größe"."straße, ""ÿ"""."straßenname" IS 'Ein Straßenname ¼';
SELECT lo_from_bytea(990001, '\xe4f6fc') \g /dev/null
COMMENT ON LARGE OBJECT 990001 IS 'Ein großes Objekt';
RESET ALL;
