--
-- PostgreSQL database dump
--

\restrict XJHh2MauTYAd4WCHEaFbFuxeKgOchOB5C9XNfc2A0NHZAW6V71L6pzbDN60K8cK

-- Dumped from database version 15.18 (Debian 15.18-0+deb12u1)
-- Dumped by pg_dump version 18.0

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET transaction_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

--
-- Name: s; Type: SCHEMA; Schema: -; Owner: postgres
--

CREATE SCHEMA s;


ALTER SCHEMA s OWNER TO postgres;

SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: empty; Type: TABLE; Schema: s; Owner: postgres
--

CREATE TABLE s.empty (
    a integer
);


ALTER TABLE s.empty OWNER TO postgres;

--
-- Name: ident; Type: TABLE; Schema: s; Owner: postgres
--

CREATE TABLE s.ident (
    id integer NOT NULL,
    t text
);


ALTER TABLE s.ident OWNER TO postgres;

--
-- Name: ident_id_seq; Type: SEQUENCE; Schema: s; Owner: postgres
--

ALTER TABLE s.ident ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME s.ident_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);


--
-- Name: none; Type: TABLE; Schema: s; Owner: postgres
--

CREATE TABLE s."none" (
);


ALTER TABLE s."none" OWNER TO postgres;

--
-- Name: t; Type: TABLE; Schema: s; Owner: postgres
--

CREATE TABLE s.t (
    id integer,
    g integer GENERATED ALWAYS AS ((id + 1)) STORED,
    "B b" text,
    ok boolean,
    n numeric,
    b bit(3)
);


ALTER TABLE s.t OWNER TO postgres;

--
-- Data for Name: empty; Type: TABLE DATA; Schema: s; Owner: postgres
--



--
-- Data for Name: ident; Type: TABLE DATA; Schema: s; Owner: postgres
--

INSERT INTO s.ident OVERRIDING SYSTEM VALUE VALUES (1, 'x') ON CONFLICT DO NOTHING;
INSERT INTO s.ident OVERRIDING SYSTEM VALUE VALUES (2, 'y') ON CONFLICT DO NOTHING;


--
-- Data for Name: none; Type: TABLE DATA; Schema: s; Owner: postgres
--

INSERT INTO s."none" DEFAULT VALUES;
INSERT INTO s."none" DEFAULT VALUES;


--
-- Data for Name: t; Type: TABLE DATA; Schema: s; Owner: postgres
--

INSERT INTO s.t VALUES (1, DEFAULT, 'it''s; \.', true, 1.5, B'101') ON CONFLICT DO NOTHING;
INSERT INTO s.t VALUES (2, DEFAULT, NULL, false, 'NaN', NULL) ON CONFLICT DO NOTHING;
INSERT INTO s.t VALUES (-3, DEFAULT, 'a	b
\', NULL, -100000000000000000000, B'000') ON CONFLICT DO NOTHING;


--
-- Name: ident_id_seq; Type: SEQUENCE SET; Schema: s; Owner: postgres
--

SELECT pg_catalog.setval('s.ident_id_seq', 2, true);


--
-- PostgreSQL database dump complete
--

\unrestrict XJHh2MauTYAd4WCHEaFbFuxeKgOchOB5C9XNfc2A0NHZAW6V71L6pzbDN60K8cK

