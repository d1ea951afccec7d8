CREATE SCHEMA IF NOT EXISTS "notify";
--> statement-breakpoint
CREATE TABLE "notify"."deliveries" (
	"tenant_id" text COLLATE "C" NOT NULL,
	"id" uuid NOT NULL,
	"user_id" text COLLATE "C" NOT NULL,
	"item_id" uuid NOT NULL,
	"ordinal" smallint NOT NULL,
	"channel" text COLLATE "C" NOT NULL,
	"destination" text NOT NULL,
	"provider" text NOT NULL,
	"status" text COLLATE "C" NOT NULL,
	"reason" text NOT NULL,
	"attempts" integer DEFAULT 0 NOT NULL,
	"due_at_ms" bigint,
	"lease_token" uuid,
	"lease_until_ms" bigint,
	"crashes" integer DEFAULT 0 NOT NULL,
	"provider_message_id" text DEFAULT '' NOT NULL,
	"delivered_at_ms" bigint,
	"ack_at_ms" bigint,
	"created_at_ms" bigint NOT NULL,
	"updated_at_ms" bigint NOT NULL,
	CONSTRAINT "deliveries_tenant_id_item_id_id_pk" PRIMARY KEY("tenant_id","item_id","id")
);
--> statement-breakpoint
CREATE TABLE "notify"."devices" (
	"tenant_id" text COLLATE "C" NOT NULL,
	"user_id" text COLLATE "C" NOT NULL,
	"device_type" text COLLATE "C" NOT NULL,
	"device_id" text COLLATE "C" NOT NULL,
	"id" uuid NOT NULL,
	"token" text NOT NULL,
	"token_hash" "bytea" NOT NULL,
	"created_at_ms" bigint NOT NULL,
	"updated_at_ms" bigint NOT NULL,
	CONSTRAINT "devices_tenant_id_user_id_device_type_device_id_pk" PRIMARY KEY("tenant_id","user_id","device_type","device_id")
);
--> statement-breakpoint
CREATE TABLE "notify"."notifications" (
	"tenant_id" text COLLATE "C" NOT NULL,
	"id" uuid NOT NULL,
	"user_id" text COLLATE "C" NOT NULL,
	"notification_id" text COLLATE "C" NOT NULL,
	"position" bigint NOT NULL,
	"created_at_ms" bigint NOT NULL,
	"expires_at_ms" bigint,
	"read_at_ms" bigint,
	"archived_at_ms" bigint,
	"deleted_at_ms" bigint,
	"in_app_id" uuid,
	"in_app_status" text COLLATE "C",
	"in_app_reason" text,
	"in_app_destination" text,
	"in_app_provider" text,
	"in_app_message_id" text,
	"in_app_delivered_at_ms" bigint,
	"in_app_ack_at_ms" bigint,
	"in_app_attempts" integer DEFAULT 0 NOT NULL,
	"in_app_ordinal" smallint DEFAULT 0 NOT NULL,
	"other_deliveries" smallint DEFAULT 0 NOT NULL,
	"channels" text[] NOT NULL,
	"type" text COLLATE "C" NOT NULL,
	"subject_ref" text NOT NULL,
	"subject_type" text NOT NULL,
	"title" text NOT NULL,
	"body" text NOT NULL,
	"urgency" text,
	"data" text,
	"action_url" text,
	"icon_url" text,
	"actions" text,
	CONSTRAINT "notifications_tenant_id_id_pk" PRIMARY KEY("tenant_id","id")
);
--> statement-breakpoint
CREATE TABLE "notify"."users" (
	"tenant_id" text COLLATE "C" NOT NULL,
	"user_id" text COLLATE "C" NOT NULL,
	"newest_position" bigint DEFAULT 0 NOT NULL,
	"version" bigint DEFAULT 0 NOT NULL,
	"unread" bigint DEFAULT 0 NOT NULL,
	"unseen" bigint DEFAULT 0 NOT NULL,
	"seen_position" bigint DEFAULT 0 NOT NULL,
	"oldest_resumable" bigint DEFAULT 0 NOT NULL,
	"next_expiry_ms" bigint,
	CONSTRAINT "users_tenant_id_user_id_pk" PRIMARY KEY("tenant_id","user_id")
);
--> statement-breakpoint
CREATE INDEX "deliveries_due" ON "notify"."deliveries" USING btree ("tenant_id","due_at_ms") WHERE due_at_ms IS NOT NULL AND status = 'pending';--> statement-breakpoint
CREATE UNIQUE INDEX "devices_token" ON "notify"."devices" USING btree ("tenant_id","token_hash");--> statement-breakpoint
CREATE UNIQUE INDEX "notifications_key" ON "notify"."notifications" USING btree ("tenant_id","user_id","notification_id");--> statement-breakpoint
CREATE INDEX "notifications_position" ON "notify"."notifications" USING btree ("tenant_id","user_id","position");--> statement-breakpoint
CREATE INDEX "notifications_unread" ON "notify"."notifications" USING btree ("tenant_id","user_id","in_app_status","position") WHERE in_app_status IS NOT NULL AND read_at_ms IS NULL AND archived_at_ms IS NULL AND deleted_at_ms IS NULL;--> statement-breakpoint
CREATE INDEX "notifications_taken" ON "notify"."notifications" USING btree ("tenant_id","user_id","in_app_delivered_at_ms") WHERE in_app_delivered_at_ms IS NOT NULL;--> statement-breakpoint
CREATE INDEX "notifications_expiring" ON "notify"."notifications" USING btree ("tenant_id","user_id","expires_at_ms") WHERE expires_at_ms IS NOT NULL AND in_app_status = 'pending' AND read_at_ms IS NULL AND archived_at_ms IS NULL AND deleted_at_ms IS NULL;