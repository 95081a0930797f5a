"""The words of a synthetic town: invented names, and the purposes and features of public rooms."""

# name, kana, English
AREAS = (
    ("みどり地区", "ミドリチク", "Midori"),
    ("さくら地区", "サクラチク", "Sakura"),
    ("かえで地区", "カエデチク", "Kaede"),
    ("いちょう地区", "イチョウチク", "Icho"),
    ("けやき地区", "ケヤキチク", "Keyaki"),
    ("つばき地区", "ツバキチク", "Tsubaki"),
    ("あやめ地区", "アヤメチク", "Ayame"),
    ("すみれ地区", "スミレチク", "Sumire"),
    ("もみじ地区", "モミジチク", "Momiji"),
    ("やなぎ地区", "ヤナギチク", "Yanagi"),
)
# code, name, kana, English, category, synonyms
PURPOSES = (
    (
        "meeting",
        "会議",
        "カイギ",
        "Meeting",
        "集会",
        ("ミーティング", "打合せ", "conference", "会议", "회의"),
    ),
    ("lecture", "講演・講座", "コウエン", "Lecture", "集会", ("セミナー", "研修", "seminar", "讲座")),
    ("chorus", "合唱", "ガッショウ", "Chorus", "音楽", ("コーラス", "choir", "合唱团", "합창")),
    ("band", "バンド演奏", "バンドエンソウ", "Band", "音楽", ("軽音楽", "ロック", "rock music")),
    ("dance", "ダンス", "ダンス", "Dance", "運動", ("舞踊", "社交ダンス", "dancing", "舞蹈", "댄스")),
    ("yoga", "ヨガ・体操", "ヨガ", "Yoga", "運動", ("ストレッチ", "健康体操", "gymnastics")),
    ("table-tennis", "卓球", "タッキュウ", "Table tennis", "運動", ("ピンポン", "ping-pong", "乒乓球")),
    ("badminton", "バドミントン", "バドミントン", "Badminton", "運動", ("バド", "羽毛球", "cầu lông")),
    ("tea", "茶道・華道", "サドウ", "Tea ceremony", "文化", ("お茶", "生け花", "ikebana")),
    ("calligraphy", "書道", "ショドウ", "Calligraphy", "文化", ("習字", "shodo", "书法")),
    ("painting", "絵画・工芸", "カイガ", "Painting", "文化", ("水彩", "手芸", "crafts")),
    ("exhibition", "展示", "テンジ", "Exhibition", "文化", ("作品展", "ギャラリー", "gallery")),
)
# code, name, kana, English
FEATURES = (
    ("step-free", "段差なし", "ダンサナシ", "Step-free access"),
    ("piano", "ピアノ", "ピアノ", "Piano"),
    ("mirror", "鏡", "カガミ", "Mirror"),
    ("soundproof", "防音", "ボウオン", "Soundproof"),
    ("screen", "スクリーン", "スクリーン", "Screen"),
    ("tatami", "畳", "タタミ", "Tatami"),
)
# code, name, English
PAYEES = (
    ("synthetic-ward", "区（公金）", "The ward"),
    ("synthetic-operator", "指定管理者", "The operator"),
)
FAMILY_NAMES = (
    "青木",
    "石田",
    "上原",
    "大野",
    "川口",
    "木下",
    "坂本",
    "島田",
    "高田",
    "中野",
    "西村",
    "浜田",
)
GIVEN_NAMES = ("一郎", "花子", "健", "直美", "実", "陽子", "誠", "恵", "翼", "葵")
