ALTER TABLE "notify"."deliveries" DROP COLUMN "lease_until_ms";--> statement-breakpoint
ALTER TABLE "notify"."notifications" DROP COLUMN "in_app_attempts";--> statement-breakpoint
-- what was accepted before there was a dispatcher is due now, and what expires is due then
UPDATE "notify"."deliveries" SET due_at_ms = created_at_ms, first_due_at_ms = created_at_ms
WHERE status = 'pending' AND destination <> '' AND provider <> '';--> statement-breakpoint
UPDATE "notify"."notifications" SET due_at_ms = expires_at_ms
WHERE expires_at_ms IS NOT NULL AND position > 0 AND deleted_at_ms IS NULL;
