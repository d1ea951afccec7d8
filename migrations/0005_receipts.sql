ALTER TABLE "notify"."deliveries" ADD COLUMN "opened_at_ms" bigint;--> statement-breakpoint
ALTER TABLE "notify"."deliveries" ADD COLUMN "clicked_at_ms" bigint;--> statement-breakpoint
ALTER TABLE "notify"."deliveries" ADD COLUMN "receipt_log" text[] DEFAULT '{}' NOT NULL;