CREATE TABLE "notify"."inbox_floors" (
	"tenant_id" text COLLATE "C" PRIMARY KEY NOT NULL,
	"floor" bigint NOT NULL
);
