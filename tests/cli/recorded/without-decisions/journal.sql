BEGIN TRANSACTION;
CREATE TABLE calls (kind TEXT PRIMARY KEY, reserved INTEGER NOT NULL, sent INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO "calls" VALUES('create',16,2);
INSERT INTO "calls" VALUES('search',16,6);
INSERT INTO "calls" VALUES('upload',16,3);
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
INSERT INTO "items" VALUES(1,'2e0a42c5dbe114ed','photos/bag-0.jpg',1,'images[0]','{}',1588334023,NULL,1,2,'https://sandbox.invalid/upload/6b91d19435a38d1c421174ee341254ba51e679ea4880ab309541a2192e02bac2.jpg?exp=1793140377&sig=69b7b68ee550b47a6be536f13ff213a3',1.79314037770032954212e+09,'6b91d19435a38d1c421174ee341254ba51e679ea4880ab309541a2192e02bac2','{"scores":[0.9476,0.9275],"complete":[true,true],"total":432,"request_id":"ba94453ce1fb4625a722f565d3349be0","at":1793107977.7127929}',1,1349,442,1,'f169a63093934ce290aad27733a2c73e',1.79310797812635445589e+09,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'{"upload":1,"search":1,"create":1}');
INSERT INTO "items" VALUES(2,'ea32d336cdb84907','photos/bag-1.jpg',1,'images[0]','{}',1674323063,NULL,1,2,'https://sandbox.invalid/upload/e085460256ed1e6c67cf8022ca72b4bda7b41e4925f6ee00b44523cbc096dff7.jpg?exp=1793140377&sig=dd8dd314de6edd94688036d4fd460c28',1.79314037773106193544e+09,'e085460256ed1e6c67cf8022ca72b4bda7b41e4925f6ee00b44523cbc096dff7','{"scores":[0.9578,0.912],"complete":[true,true],"total":432,"request_id":"0b8f8c442e4c43d2a260b0d8e57c76f2","at":1793107977.739133}',1,1791,439,1,'71aae2204bd24c6cb29d42661d5e2360',1.79310797868126535416e+09,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'{"upload":1,"search":1,"create":1}');
INSERT INTO "items" VALUES(3,'ffe62b2f25acdbd5','photos/bottle-0.jpg',1,'images[0]','{}',284122908,NULL,1,10,'https://sandbox.invalid/upload/adfd7d0829bba698d82759a394924e888927db52d95ad56ebb0989d74149bcef.jpg?exp=1793140377&sig=e28318408c7f7fbb4f06a1da2f1c23b4',1.79314037757380056385e+09,'adfd7d0829bba698d82759a394924e888927db52d95ad56ebb0989d74149bcef','{"scores":[0.9746,0.9563],"complete":[true,true],"total":432,"request_id":"25db7a5aaab344958e453d99a51a1a06","at":1793107977.702899}',NULL,NULL,NULL,1,'50549b33db4a4d8f80c0236759e47349',1.79310797770346617703e+09,NULL,'de2c75ac-c03c-4910-b7c8-e44109b8f747',1.79310797812746596339e+09,1,1225,1405,180280750,'{"upload":1,"search":1,"create":1}');
INSERT INTO "items" VALUES(4,'U0','https://sandbox.invalid/gallery/bag-0-1.png',0,'list.csv:2','{}',3739549181,NULL,1,10,NULL,NULL,NULL,'{"scores":[1.0,0.9893],"complete":[true,true],"total":432,"request_id":"b30d29de9e564b5fa2d58b58d699ea92","at":1793107977.6597743}',NULL,NULL,NULL,1,'054fda01ba88443c8d4562f16751c8c2',1.79310797766641330714e+09,NULL,'30181e54-a3c4-429e-88c3-8444f4e8d480',1.79310797767667651171e+09,0,0,1225,1214602530,'{"upload":0,"search":1,"create":1}');
INSERT INTO "items" VALUES(5,'U1','https://sandbox.invalid/gallery/bag-2-2.png',0,'list.csv:3','{}',249271812,NULL,1,10,NULL,NULL,NULL,'{"scores":[1.0,0.9292],"complete":[true,true],"total":432,"request_id":"2d486eee7b064adf937427f9d5afe5a2","at":1793107977.7121222}',NULL,NULL,NULL,1,'871f96c48c53423ba565e68472d959c9',1.79310797771322250363e+09,NULL,'204805e4-e955-4e6b-847f-f17f33feb0d4',1.7931079786872990131e+09,2,2630,1228,3653763609,'{"upload":0,"search":1,"create":1}');
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
INSERT INTO "legal" VALUES(22,0);
INSERT INTO "legal" VALUES(22,1);
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO "meta" VALUES('admitted','ec79ce81e4d686b60ded85717735df7990cbbefc64fb0a56fa8b06ecd5784fdc');
INSERT INTO "meta" VALUES('admitting','ec79ce81e4d686b60ded85717735df7990cbbefc64fb0a56fa8b06ecd5784fdc');
INSERT INTO "meta" VALUES('asked','{"search": {"endpoint": "P009", "filters": {}, "limit": 2, "min_score": 0.0}, "task": {"enabled": true, "max_hits": 100, "report": "off", "report_lang": "en"}}');
INSERT INTO "meta" VALUES('generation','1');
INSERT INTO "meta" VALUES('version','1');
CREATE INDEX by_state ON items (state, ord);
CREATE INDEX by_twin ON items (same_as) WHERE same_as IS NOT NULL;
CREATE INDEX by_source ON items (source_key) WHERE same_as IS NULL;
CREATE UNIQUE INDEX by_seq ON items (seq) WHERE seq IS NOT NULL;
CREATE INDEX by_segment ON items (segment) WHERE segment IS NOT NULL;
CREATE TRIGGER legal_changes BEFORE UPDATE OF state ON items
WHEN NOT EXISTS (SELECT 1 FROM legal WHERE old = OLD.state AND new = NEW.state)
BEGIN SELECT RAISE(ABORT, 'illegal change of state'); END;
COMMIT;
