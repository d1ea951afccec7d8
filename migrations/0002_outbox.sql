DROP INDEX "notify"."deliveries_due";--> statement-breakpoint
DROP INDEX "notify"."notifications_key";--> statement-breakpoint
ALTER TABLE "notify"."deliveries" ADD COLUMN "first_due_at_ms" bigint;--> statement-breakpoint
ALTER TABLE "notify"."deliveries" ADD COLUMN "attempt_log" text[] DEFAULT '{}' NOT NULL;--> statement-breakpoint
ALTER TABLE "notify"."notifications" ADD COLUMN "snoozed_until_ms" bigint;--> statement-breakpoint
ALTER TABLE "notify"."notifications" ADD COLUMN "due_at_ms" bigint;--> statement-breakpoint
CREATE UNIQUE INDEX "deliveries_id" ON "notify"."deliveries" USING btree ("tenant_id","id");--> statement-breakpoint
CREATE INDEX "deliveries_failed" ON "notify"."deliveries" USING btree ("tenant_id","channel","updated_at_ms") WHERE status = 'failed';--> statement-breakpoint
CREATE INDEX "notifications_due" ON "notify"."notifications" USING btree ("tenant_id","due_at_ms") WHERE due_at_ms IS NOT NULL;--> statement-breakpoint
CREATE INDEX "deliveries_due" ON "notify"."deliveries" USING btree ("tenant_id","channel","due_at_ms") WHERE due_at_ms IS NOT NULL;--> statement-breakpoint
CREATE UNIQUE INDEX "notifications_key" ON "notify"."notifications" USING btree ("tenant_id","notification_id","user_id");