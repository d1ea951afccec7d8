-- Storage settings, for which the schema file has no words.

-- Every notification updates its user's counters. Half-empty pages let the new version of a row stay on its page, without
-- a new index entry (HOT), and the next update reuses the place.
ALTER TABLE "notify"."users" SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 1000);
--> statement-breakpoint
-- Rows change state a few times and are then only read. The default of 20 % dead rows would let the vacuum of a table with
-- 100 million rows wait for 20 million of them; statistics must follow a table that grows from nothing in minutes.
ALTER TABLE "notify"."notifications" SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_insert_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.02, autovacuum_analyze_threshold = 1000);
--> statement-breakpoint
-- A delivery is written two or three times within seconds: its pages keep some room for that.
ALTER TABLE "notify"."deliveries" SET (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000, autovacuum_analyze_scale_factor = 0.02, autovacuum_analyze_threshold = 1000);
