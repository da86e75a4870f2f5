--
-- PostgreSQL database cluster dump
--

\restrict fet5LAoG23vve1RcxaDvXkpYpzhyDUPPGbgVa7Js1U4badgcbYAVrhgyTXl6JpP

SET default_transaction_read_only = off;

SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;

--
-- Roles
--

CREATE ROLE "Odd ""name""";
ALTER ROLE "Odd ""name""" WITH NOSUPERUSER INHERIT NOCREATEROLE NOCREATEDB NOLOGIN NOREPLICATION NOBYPASSRLS;
CREATE ROLE postgres;
ALTER ROLE postgres WITH SUPERUSER INHERIT CREATEROLE CREATEDB LOGIN REPLICATION BYPASSRLS;
CREATE ROLE synapse;
ALTER ROLE synapse WITH NOSUPERUSER INHERIT NOCREATEROLE NOCREATEDB LOGIN NOREPLICATION NOBYPASSRLS CONNECTION LIMIT 5 PASSWORD 'SCRAM-SHA-256$4096:E0taq1nHM8OYvuRI3rwr2A==$wzHNigGXvOKPX/juEDtnvF2iXyuoRXVhaFz4u95QyVI=:40HzWzQ9NnjjB6CdjDS+ph7arP9MeLKe0c8/e1L5ONU=' VALID UNTIL '2030-01-01 00:00:00+00';
COMMENT ON ROLE synapse IS E'a ''quoted'' \\ comment';

--
-- User Configurations
--

--
-- User Config "synapse"
--

ALTER ROLE synapse SET search_path TO 'a', '$user';


--
-- Role memberships
--

GRANT "Odd ""name""" TO synapse WITH ADMIN OPTION GRANTED BY postgres;




\unrestrict fet5LAoG23vve1RcxaDvXkpYpzhyDUPPGbgVa7Js1U4badgcbYAVrhgyTXl6JpP

--
-- PostgreSQL database cluster dump complete
--

