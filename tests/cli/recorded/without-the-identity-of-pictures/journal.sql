BEGIN TRANSACTION;
CREATE TABLE again (ord INTEGER PRIMARY KEY, state INTEGER NOT NULL, problem TEXT, segment INTEGER, spooled_at INTEGER);
CREATE TABLE calls (kind TEXT PRIMARY KEY, reserved INTEGER NOT NULL, sent INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO "calls" VALUES('create',16,2);
INSERT INTO "calls" VALUES('search',16,6);
INSERT INTO "calls" VALUES('upload',16,3);
CREATE TABLE decisions (at REAL NOT NULL, ord INTEGER NOT NULL, decision TEXT NOT NULL, request_id TEXT, task_id TEXT);
CREATE TABLE items (
  ord INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  source TEXT NOT NULL, local INTEGER NOT NULL, origin TEXT NOT NULL, labels TEXT NOT NULL,
  source_key INTEGER NOT NULL, same_as INTEGER, generation INTEGER NOT NULL,
  state INTEGER NOT NULL,
  url TEXT, url_expires REAL, sha256 TEXT,
  search TEXT, segment INTEGER, spooled_at INTEGER, spooled INTEGER,
  attempt INTEGER NOT NULL DEFAULT 0, intent TEXT, intent_at REAL,
  problem TEXT,
  task_id TEXT, task_at REAL,
  seq INTEGER, offset INTEGER, length INTEGER, crc INTEGER,
  calls TEXT NOT NULL DEFAULT '{}'
);
INSERT INTO "items" VALUES(1,'2e0a42c5dbe114ed','photos/bag-0.jpg',1,'images[0]','{}',1588334023,NULL,1,2,'https://sandbox.invalid/upload/6b91d19435a38d1c421174ee341254ba51e679ea4880ab309541a2192e02bac2.jpg?exp=1793140383&sig=1a07aabee2ed06644fbd6d6142eca936',1.79314038379145121579e+09,'6b91d19435a38d1c421174ee341254ba51e679ea4880ab309541a2192e02bac2','{"scores":[0.9476,0.9275],"complete":[],"total":432,"request_id":"178af3f5c8ad4b98b89928973db901ad","at":1793107983.7977426,"endpoint":"P009","params":{"limit":2}}',1,904,442,1,'f4b0b3d8aae342b8a3d83915932d0e43',1.79310798381940031051e+09,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'{"upload":1,"search":1,"create":1}');
INSERT INTO "items" VALUES(2,'ea32d336cdb84907','photos/bag-1.jpg',1,'images[0]','{}',1674323063,NULL,1,2,'https://sandbox.invalid/upload/e085460256ed1e6c67cf8022ca72b4bda7b41e4925f6ee00b44523cbc096dff7.jpg?exp=1793140383&sig=e33c37a8cde50d80f38b7e9752ad6b89',1.79314038379981613153e+09,'e085460256ed1e6c67cf8022ca72b4bda7b41e4925f6ee00b44523cbc096dff7','{"scores":[0.9578,0.912],"complete":[],"total":432,"request_id":"bd4fa5c084eb444ea145252498e29687","at":1793107983.8042207,"endpoint":"P009","params":{"limit":2}}',1,1346,439,1,'898c548db0b54548803615d750c1d104',1.79310798428314900395e+09,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'{"upload":1,"search":1,"create":1}');
INSERT INTO "items" VALUES(3,'ffe62b2f25acdbd5','photos/bottle-0.jpg',1,'images[0]','{}',284122908,NULL,1,10,'https://sandbox.invalid/upload/adfd7d0829bba698d82759a394924e888927db52d95ad56ebb0989d74149bcef.jpg?exp=1793140383&sig=d44024594ffef643988c24603d073ded',1.79314038376634192462e+09,'adfd7d0829bba698d82759a394924e888927db52d95ad56ebb0989d74149bcef','{"scores":[0.9746,0.9563],"complete":[],"total":432,"request_id":"b07539aeb1c14c56aa021078c1cc5601","at":1793107983.797214,"endpoint":"P009","params":{"limit":2}}',NULL,NULL,NULL,1,'a8e7e3c356d0474fbb11410a86cb26dd',1.79310798379766249662e+09,NULL,'f888cc06-5148-436b-b4aa-aa88d38fee04',1.79310798428418040274e+09,1,1225,1405,2145366272,'{"upload":1,"search":1,"create":1}');
INSERT INTO "items" VALUES(4,'U0','https://sandbox.invalid/gallery/bag-0-1.png',0,'list.csv:2','{}',3739549181,NULL,1,10,NULL,NULL,NULL,'{"scores":[1.0,0.9893],"complete":[],"total":432,"request_id":"935ee7e7e6de473293391c5eece3ee8e","at":1793107983.7515094,"endpoint":"P009","params":{"limit":2}}',NULL,NULL,NULL,1,'39597e998d024c89a354f4ae3cc01913',1.79310798378310728073e+09,NULL,'e402139f-ecc0-416f-b94b-38f070347ddc',1.79310798382046699523e+09,0,0,1225,3843111746,'{"upload":0,"search":1,"create":1}');
INSERT INTO "items" VALUES(5,'U1','https://sandbox.invalid/gallery/bag-2-2.png',0,'list.csv:3','{}',249271812,NULL,1,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'{}');
INSERT INTO "items" VALUES(6,'U2','https://sandbox.invalid/gallery/bag-4-3.png',0,'list.csv:4','{}',1349225102,NULL,1,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'{}');
INSERT INTO "items" VALUES(7,'U3','https://sandbox.invalid/gallery/bag-7-1.png',0,'list.csv:5','{}',457425779,NULL,1,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'{}');
INSERT INTO "items" VALUES(8,'U4','https://sandbox.invalid/gallery/bottle-1-2.png',0,'list.csv:6','{}',1844292495,NULL,1,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'{}');
INSERT INTO "items" VALUES(9,'U5','https://sandbox.invalid/gallery/bottle-3-3.png',0,'list.csv:7','{}',3339883286,NULL,1,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'{}');
INSERT INTO "items" VALUES(10,'BAD','not a link',0,'list.csv:8','{}',-1,NULL,1,20,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,'{"stage":"read","code":"bad_row","message":"list.csv:8: a URL has no spaces or control characters and at most 4,096 characters","consequence":"fail","retryable":false,"request_id":null,"correlation_id":null}',NULL,NULL,NULL,NULL,NULL,NULL,'{}');
CREATE TABLE legal (old INTEGER, new INTEGER, PRIMARY KEY (old, new)) WITHOUT ROWID;
INSERT INTO "legal" VALUES(0,0);
INSERT INTO "legal" VALUES(0,1);
INSERT INTO "legal" VALUES(0,2);
INSERT INTO "legal" VALUES(0,10);
INSERT INTO "legal" VALUES(0,11);
INSERT INTO "legal" VALUES(0,12);
INSERT INTO "legal" VALUES(0,20);
INSERT INTO "legal" VALUES(0,22);
INSERT INTO "legal" VALUES(1,0);
INSERT INTO "legal" VALUES(1,1);
INSERT INTO "legal" VALUES(1,2);
INSERT INTO "legal" VALUES(1,10);
INSERT INTO "legal" VALUES(1,11);
INSERT INTO "legal" VALUES(1,12);
INSERT INTO "legal" VALUES(1,20);
INSERT INTO "legal" VALUES(1,22);
INSERT INTO "legal" VALUES(2,1);
INSERT INTO "legal" VALUES(2,2);
INSERT INTO "legal" VALUES(2,10);
INSERT INTO "legal" VALUES(2,20);
INSERT INTO "legal" VALUES(2,21);
INSERT INTO "legal" VALUES(20,0);
INSERT INTO "legal" VALUES(20,1);
INSERT INTO "legal" VALUES(20,20);
INSERT INTO "legal" VALUES(21,0);
INSERT INTO "legal" VALUES(21,1);
INSERT INTO "legal" VALUES(21,10);
INSERT INTO "legal" VALUES(21,21);
INSERT INTO "legal" VALUES(22,0);
INSERT INTO "legal" VALUES(22,1);
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO "meta" VALUES('admitted','ec79ce81e4d686b60ded85717735df7990cbbefc64fb0a56fa8b06ecd5784fdc');
INSERT INTO "meta" VALUES('admitting','');
INSERT INTO "meta" VALUES('asked','{"pictures": {"root": "."}, "search": {"endpoint": "P009", "filters": {}, "limit": 2, "min_score": 0.0}, "task": {"enabled": true, "max_hits": 100, "report": "off", "report_lang": "en"}}');
INSERT INTO "meta" VALUES('clean','0');
INSERT INTO "meta" VALUES('doubt_new','');
INSERT INTO "meta" VALUES('generation','1');
INSERT INTO "meta" VALUES('job_folder','@FOLDER@');
INSERT INTO "meta" VALUES('started_at','2026-10-27T13:33:03.263Z');
INSERT INTO "meta" VALUES('units','8.0');
INSERT INTO "meta" VALUES('vendor','sandbox');
INSERT INTO "meta" VALUES('version','1');
CREATE TABLE risks (ord INTEGER PRIMARY KEY, spent INTEGER NOT NULL);
CREATE INDEX by_state ON items (state, ord);
CREATE INDEX by_twin ON items (same_as) WHERE same_as IS NOT NULL;
CREATE INDEX by_source ON items (source_key) WHERE same_as IS NULL;
CREATE UNIQUE INDEX by_seq ON items (seq) WHERE seq IS NOT NULL;
CREATE INDEX by_segment ON items (segment) WHERE segment IS NOT NULL;
CREATE TRIGGER legal_changes BEFORE UPDATE OF state ON items
WHEN NOT EXISTS (SELECT 1 FROM legal WHERE old = OLD.state AND new = NEW.state)
BEGIN SELECT RAISE(ABORT, 'illegal change of state'); END;
COMMIT;
