CREATE TABLE "notify"."dead_addresses" (
	"tenant_id" text COLLATE "C" NOT NULL,
	"channel" text COLLATE "C" NOT NULL,
	"hash" "bytea" NOT NULL,
	"address" text NOT NULL,
	"reason" text NOT NULL,
	"dead_at_ms" bigint NOT NULL,
	"revived_at_ms" bigint,
	CONSTRAINT "dead_addresses_tenant_id_channel_hash_pk" PRIMARY KEY("tenant_id","channel","hash")
);
--> statement-breakpoint
CREATE TABLE "notify"."recipients" (
	"tenant_id" text COLLATE "C" NOT NULL,
	"user_id" text COLLATE "C" NOT NULL,
	"addresses" text NOT NULL,
	"locale" text NOT NULL,
	"time_zone" text NOT NULL,
	"attributes" text,
	"updated_at_ms" bigint NOT NULL,
	CONSTRAINT "recipients_tenant_id_user_id_pk" PRIMARY KEY("tenant_id","user_id")
);
--> statement-breakpoint
CREATE INDEX "dead_addresses_latest" ON "notify"."dead_addresses" USING btree ("tenant_id","dead_at_ms","channel","hash") WHERE revived_at_ms IS NULL;