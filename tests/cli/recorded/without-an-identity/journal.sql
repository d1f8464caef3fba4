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
, picture TEXT);
INSERT INTO "items" VALUES(1,'bag-0','photos/bag-0.jpg',1,'images[0]','{}',1875962754,NULL,1,10,'https://sandbox.invalid/upload/6b91d19435a38d1c421174ee341254ba51e679ea4880ab309541a2192e02bac2.jpg?exp=1793140390&sig=badf1ffe2268d79b834a38416136bab2',1.7931403901819682121e+09,'6b91d19435a38d1c421174ee341254ba51e679ea4880ab309541a2192e02bac2','{"scores":[0.9476,0.9275],"complete":[],"total":432,"request_id":"d0286c4b531a4fdebddea00769a03801","at":1793107990.2116628,"endpoint":"P009","params":{"limit":2}}',NULL,NULL,NULL,1,'10101eb1d0b0403384819137cc8457ea',1.79310799021715521804e+09,NULL,'7ba08588-52a2-4577-882d-d601a5f2ca32',1.79310799067658138269e+09,1,1223,1369,1190013259,'{"upload":1,"search":1,"create":1}','sha256:6b91d19435a38d1c421174ee341254ba51e679ea4880ab309541a2192e02bac2');
INSERT INTO "items" VALUES(2,'bag-1','photos/bag-1.jpg',1,'images[0]','{}',3630334624,NULL,1,2,'https://sandbox.invalid/upload/e085460256ed1e6c67cf8022ca72b4bda7b41e4925f6ee00b44523cbc096dff7.jpg?exp=1793140390&sig=04aed89eb2c2cac86f555176b06098f5',1.79314039020721817017e+09,'e085460256ed1e6c67cf8022ca72b4bda7b41e4925f6ee00b44523cbc096dff7','{"scores":[0.9578,0.912],"complete":[],"total":432,"request_id":"794c1bb098344d5babfa79c75f29c859","at":1793107990.215724,"endpoint":"P009","params":{"limit":2}}',1,880,437,1,'25b1f124b1614633ac85fdfa1b3a7fd7',1.79310799022461843485e+09,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'{"upload":1,"search":1,"create":1}','sha256:e085460256ed1e6c67cf8022ca72b4bda7b41e4925f6ee00b44523cbc096dff7');
INSERT INTO "items" VALUES(3,'bottle-0','photos/bottle-0.jpg',1,'images[0]','{}',1349399799,NULL,1,2,'https://sandbox.invalid/upload/adfd7d0829bba698d82759a394924e888927db52d95ad56ebb0989d74149bcef.jpg?exp=1793140390&sig=5ee5afe76052b68ad435a2f91d88e31e',1.79314039021939969058e+09,'adfd7d0829bba698d82759a394924e888927db52d95ad56ebb0989d74149bcef','{"scores":[0.9746,0.9563],"complete":[],"total":432,"request_id":"9256d2591ffd4ab19350ed5e31787c9f","at":1793107990.2233472,"endpoint":"P009","params":{"limit":2}}',1,1317,460,1,'123b05a47b744b6f915567cb4ddc9199',1.79310799067561960212e+09,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'{"upload":1,"search":1,"create":1}','sha256:adfd7d0829bba698d82759a394924e888927db52d95ad56ebb0989d74149bcef');
INSERT INTO "items" VALUES(4,'U0','https://sandbox.invalid/gallery/bag-0-1.png',0,'list.csv:2','{}',3739549181,NULL,1,10,NULL,NULL,NULL,'{"scores":[1.0,0.9893],"complete":[],"total":432,"request_id":"7c41c22750264d8194683a7183a0b4b4","at":1793107990.188519,"endpoint":"P009","params":{"limit":2}}',NULL,NULL,NULL,1,'40021de2534247e897b66a7940035321',1.79310799021710658074e+09,NULL,'57b5d2b9-5859-4f41-8b4c-04ad34ed0ed2',1.79310799022585248951e+09,0,0,1223,2511569556,'{"upload":0,"search":1,"create":1}','https://sandbox.invalid/gallery/bag-0-1.png');
INSERT INTO "items" VALUES(5,'U1','https://sandbox.invalid/gallery/bag-2-2.png',0,'list.csv:3','{}',249271812,NULL,1,2,NULL,NULL,NULL,'{"scores":[1.0,0.9292],"complete":[],"total":432,"request_id":"74256802c1f64ec194f4ab03e09d3c51","at":1793107990.2429197,"endpoint":"P009","params":{"limit":2}}',1,1777,443,1,'2a57bc25065a443d95ebf031df0d62b9',1.79310799122976708419e+09,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'{"upload":0,"search":1,"create":1}','https://sandbox.invalid/gallery/bag-2-2.png');
INSERT INTO "items" VALUES(6,'U2','https://sandbox.invalid/gallery/bag-4-3.png',0,'list.csv:4','{}',1349225102,NULL,1,1,NULL,NULL,NULL,'{"scores":[1.0,0.9712],"complete":[],"total":432,"request_id":"7b6c89b5a7d94a2b9984dae9d25945a2","at":1793107990.7212644,"endpoint":"P009","params":{"limit":2}}',1,2220,435,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'{"upload":0,"search":1,"create":0}','https://sandbox.invalid/gallery/bag-4-3.png');
INSERT INTO "items" VALUES(7,'U3','https://sandbox.invalid/gallery/bag-7-1.png',0,'list.csv:5','{}',457425779,NULL,1,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'{}','https://sandbox.invalid/gallery/bag-7-1.png');
INSERT INTO "items" VALUES(8,'U4','https://sandbox.invalid/gallery/bottle-1-2.png',0,'list.csv:6','{}',1844292495,NULL,1,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'{}','https://sandbox.invalid/gallery/bottle-1-2.png');
INSERT INTO "items" VALUES(9,'U5','https://sandbox.invalid/gallery/bottle-3-3.png',0,'list.csv:7','{}',3339883286,NULL,1,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'{}','https://sandbox.invalid/gallery/bottle-3-3.png');
INSERT INTO "items" VALUES(10,'BAD','not a link',0,'list.csv:8','{}',-1,NULL,1,20,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,'{"stage":"read","code":"bad_row","message":"list.csv:8: a URL has no spaces or control characters; character 4 is a blank (U+0020): delete it","consequence":"fail","retryable":false,"request_id":null,"correlation_id":null}',NULL,NULL,NULL,NULL,NULL,NULL,'{}','url:not a link');
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
INSERT INTO "meta" VALUES('naming','name');
INSERT INTO "meta" VALUES('started_at','2026-10-27T13:33:09.972Z');
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
