"""Fixed vocabulary of the sample company: regions, names, industries, products, account managers."""

from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

import numpy as np

from sample_company.draws import Draws, Ints, choose, pick


class Industry(NamedTuple):
    """A two-level industry with the words company names are built from and the ways people mistype it."""

    l1: str
    l2: str
    l1_en: str
    l2_en: str
    words: tuple[str, str]
    short: str

    @property
    def canonical(self) -> str:
        return f"{self.l1}/{self.l2}"

    @property
    def variants(self) -> tuple[str, str, str]:
        """Mistyped forms the mapping seed knows; the first one ends in a blank on purpose."""
        return (f"{self.l2} ", self.l2_en, self.short)


_M, _M_EN = "制造业", "Manufacturing"
_E, _E_EN = "能源", "Energy"
_C, _C_EN = "化工", "Chemicals"
_B, _B_EN = "建筑业", "Construction"
_L, _L_EN = "物流运输", "Logistics"
_S, _S_EN = "科技服务", "Technology services"

INDUSTRIES: tuple[Industry, ...] = (
    Industry(_M, "汽车零部件", _M_EN, "Auto Parts", ("汽车部件", "车业"), "汽配"),
    Industry(_M, "工程机械", _M_EN, "Construction Machinery", ("工程机械", "重工"), "工机"),
    Industry(_M, "机床工具", _M_EN, "Machine Tools", ("数控机床", "精密机械"), "机床"),
    Industry(_M, "电子元器件", _M_EN, "Electronic Components", ("电子", "微电子"), "电子件"),
    Industry(_M, "家用电器", _M_EN, "Home Appliances", ("电器", "智能家电"), "家电"),
    Industry(_M, "食品加工", _M_EN, "Food Processing", ("食品", "食品科技"), "食品厂"),
    Industry(_M, "纺织服装", _M_EN, "Textiles", ("纺织", "服饰"), "纺服"),
    Industry(_M, "医疗器械", _M_EN, "Medical Devices", ("医疗器械", "医疗科技"), "医械"),
    Industry(_M, "金属制品", _M_EN, "Metal Products", ("金属制品", "五金"), "五金件"),
    Industry(_M, "轨道交通装备", _M_EN, "Rail Equipment", ("轨道装备", "交通装备"), "轨交"),
    Industry(_E, "光伏", _E_EN, "Photovoltaics", ("光伏", "新能源"), "太阳能"),
    Industry(_E, "风电", _E_EN, "Wind Power", ("风电设备", "风能"), "风力发电"),
    Industry(_E, "动力电池", _E_EN, "Traction Batteries", ("电池", "储能"), "锂电"),
    Industry(_C, "精细化工", _C_EN, "Fine Chemicals", ("化学", "新材料"), "精化"),
    Industry(_C, "塑料橡胶", _C_EN, "Plastics and Rubber", ("塑胶", "橡塑"), "橡塑制品"),
    Industry(_C, "制药", _C_EN, "Pharmaceuticals", ("制药", "生物医药"), "药企"),
    Industry(_B, "建材", _B_EN, "Building Materials", ("建材", "建筑材料"), "水泥建材"),
    Industry(_B, "钢结构", _B_EN, "Steel Structures", ("钢构", "建设工程"), "钢构件"),
    Industry(_L, "仓储设备", _L_EN, "Warehousing", ("仓储", "物流设备"), "仓库"),
    Industry(_S, "工业自动化", _S_EN, "Industrial Automation", ("自动化", "智能科技"), "工控"),
)
UNMAPPED_INDUSTRIES: tuple[str, ...] = ("其他-待定", "未知行业", "待补充")


def industry_mapping_rows() -> list[tuple[str, str, str, str, str]]:
    """Rows of the dbt seed `industry_mapping`: every canonical string and every mapped variant."""
    rows = []
    for industry in INDUSTRIES:
        for value in (industry.canonical, *industry.variants):
            rows.append((value, industry.l1, industry.l2, industry.l1_en, industry.l2_en))
    return rows


# City, province, six-digit administrative code (the one inside a tax id).
CITIES: tuple[tuple[str, str, str], ...] = (
    ("北京", "北京", "110108"), ("天津", "天津", "120116"), ("上海", "上海", "310115"),
    ("重庆", "重庆", "500112"), ("石家庄", "河北", "130102"), ("唐山", "河北", "130203"),
    ("太原", "山西", "140105"), ("沈阳", "辽宁", "210106"), ("大连", "辽宁", "210211"),
    ("长春", "吉林", "220104"), ("哈尔滨", "黑龙江", "230103"), ("南京", "江苏", "320115"),
    ("苏州", "江苏", "320505"), ("无锡", "江苏", "320214"), ("常州", "江苏", "320411"),
    ("南通", "江苏", "320602"), ("杭州", "浙江", "330106"), ("宁波", "浙江", "330206"),
    ("温州", "浙江", "330302"), ("嘉兴", "浙江", "330402"), ("合肥", "安徽", "340111"),
    ("芜湖", "安徽", "340202"), ("福州", "福建", "350102"), ("厦门", "福建", "350206"),
    ("南昌", "江西", "360111"), ("济南", "山东", "370112"), ("青岛", "山东", "370211"),
    ("烟台", "山东", "370602"), ("郑州", "河南", "410105"), ("洛阳", "河南", "410305"),
    ("武汉", "湖北", "420111"), ("襄阳", "湖北", "420606"), ("长沙", "湖南", "430104"),
    ("株洲", "湖南", "430211"), ("广州", "广东", "440112"), ("深圳", "广东", "440306"),
    ("佛山", "广东", "440606"), ("东莞", "广东", "441900"), ("成都", "四川", "510107"),
    ("西安", "陕西", "610113"), ("昆明", "云南", "530111"),
)  # fmt: skip

_FIRST = (
    "晨chen锐rui恒heng博bo卓zhuo盛sheng鼎ding宏hong嘉jia凯kai瑞rui拓tuo远yuan信xin诚cheng泰tai华hua德de明ming正zheng"
    "立li安an创chuang科ke领ling峰feng海hai天tian金jin银yin东dong方fang万wan百bai千qian亿yi兴xing隆long昌chang茂mao"
    "弘hong启qi智zhi思si众zhong合he联lian同tong睿rui朗lang皓hao逸yi澜lan川chuan岳yue江jiang沃wo格ge欧ou迪di中zhong"
    "新xin"
)
_SECOND = (
    "达da翔xiang腾teng飞fei跃yue驰chi骏jun骐qi锋feng铭ming钧jun铠kai镁mei鑫xin森sen林lin楠nan桦hua松song柏bai"
    "源yuan泉quan润run泽ze浩hao涛tao洋yang波bo沣feng渊yuan光guang辉hui耀yao晖hui曜yao昇sheng升sheng旭xu晟sheng昊hao"
    "基ji业ye图tu强qiang固gu坚jian韧ren毅yi奕yi康kang健jian宁ning和he顺shun通tong途tu运yun程cheng利li"
)
_SURNAMES = (
    "王wang李li张zhang刘liu陈chen杨yang黄huang赵zhao吴wu周zhou徐xu孙sun马ma朱zhu胡hu郭guo何he林lin高gao罗luo"
    "郑zheng梁liang谢xie宋song唐tang许xu邓deng冯feng韩han曹cao曾zeng彭peng萧xiao蔡cai潘pan田tian董dong袁yuan于yu余yu"
)
_GIVEN = (
    "伟wei芳fang娜na敏min静jing丽li强qiang磊lei军jun洋yang勇yong艳yan杰jie涛tao明ming超chao霞xia平ping刚gang玲ling"
    "鹏peng华hua飞fei鑫xin波bo斌bin宇yu浩hao凯kai健jian俊jun帆fan倩qian婷ting雪xue琳lin晨chen阳yang昊hao悦yue"
)


def _pairs(text: str) -> list[tuple[str, str]]:
    """Split '晨chen锐rui' into [('晨', 'chen'), ('锐', 'rui')]."""
    pairs: list[tuple[str, str]] = []
    for character in text:
        if character.isascii():
            pairs[-1] = (pairs[-1][0], pairs[-1][1] + character)
        else:
            pairs.append((character, ""))
    return pairs


FIRST, SECOND = _pairs(_FIRST), _pairs(_SECOND)
SURNAMES, GIVEN = _pairs(_SURNAMES), _pairs(_GIVEN)
SUFFIXES = ["有限公司", "股份有限公司", "有限责任公司"]
TITLES = ["采购经理", "设备部主任", "总经理", "技术总监", "生产经理", "财务主管"]
SIZES = ["大型", "中型", "小型", "微型"]

_NAME_SPACE = len(CITIES) * len(FIRST) * len(SECOND)
_NAME_STEP = 100_003  # shares no factor with the name space: neighbours get unrelated names and none repeats
MAX_CUSTOMERS = 3_000_000

_TAX_CHARS = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_TAX_WEIGHTS = np.array([1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28], dtype=np.int64)
_ORG_WEIGHTS = np.array([3, 7, 9, 10, 5, 8, 4, 2], dtype=np.int64)


@dataclass(frozen=True)
class Identities:
    """Texts that identify companies, one entry per company number."""

    names: list[str]
    tax_ids: list[str]
    phones: list[str]
    domains: list[str]
    provinces: list[str]


def identities(draws: Draws, numbers: Ints, industry: Ints) -> Identities:
    """Names, tax ids, phones and mail domains; unique per company number (0 .. 2 * MAX_CUSTOMERS)."""
    offset = draws.seed % _NAME_SPACE
    x = ((numbers % _NAME_SPACE) * _NAME_STEP + offset) % _NAME_SPACE
    city, word = x % len(CITIES), x // len(CITIES)
    first, second, third = word % len(FIRST), word // len(FIRST), numbers // _NAME_SPACE
    trade = draws.below("name.trade", 2, numbers)
    suffix = choose(draws.uniform("name.suffix", numbers), [0.72, 0.14, 0.14])
    group = draws.flag("name.group", 0.12, numbers)
    names, domains = [], []
    for c, a, b, t, i, w, s, g, n in zip(
        city.tolist(), first.tolist(), second.tolist(), third.tolist(), industry.tolist(), trade.tolist(),
        suffix.tolist(), group.tolist(), numbers.tolist(), strict=True,
    ):  # fmt: skip
        extra = GIVEN[t % len(GIVEN)][0] + (GIVEN[t // len(GIVEN)][0] if t >= len(GIVEN) else "") if t else ""
        names.append(
            f"{CITIES[c][0]}{FIRST[a][0]}{SECOND[b][0]}{extra}{INDUSTRIES[i].words[w]}"
            f"{'(集团)' if g else ''}{SUFFIXES[s]}"
        )
        domains.append(f"{FIRST[a][1]}{SECOND[b][1]}{n:04d}.example")
    return Identities(
        names, _tax_ids(draws, numbers, city), phones(draws, numbers, (3, 5, 8)), domains,
        pick([province for _, province, _ in CITIES], city),
    )  # fmt: skip


def phones(draws: Draws, numbers: Ints, prefixes: tuple[int, ...]) -> list[str]:
    """Chinese mobile numbers (11 digits), unique per number and prefix group."""
    local = (numbers * 618_033_989 + draws.seed) % 1_000_000_000
    prefix = np.array(prefixes, dtype=np.int64)[numbers % len(prefixes)]
    return list(map(str, (10_000_000_000 + prefix * 1_000_000_000 + local).tolist()))


def _tax_ids(draws: Draws, numbers: Ints, city: Ints) -> list[str]:
    """Unified social credit codes with valid check characters (GB 11714, GB 32100)."""
    codes = np.zeros((len(numbers), 18), dtype=np.int64)
    codes[:, 0], codes[:, 1] = 9, 1
    codes[:, 2:8] = np.array([[int(d) for d in code] for _, _, code in CITIES], dtype=np.int64)[city]
    codes[:, 8], codes[:, 9] = _TAX_CHARS.index("M"), _TAX_CHARS.index("A")
    serial = (numbers * 350_377_393 + draws.seed) % 31**6
    for column in range(10, 16):
        codes[:, column] = serial % 31
        serial = serial // 31
    ascii_value = np.array([int(c, 36) for c in _TAX_CHARS], dtype=np.int64)
    check = 11 - (ascii_value[codes[:, 8:16]] @ _ORG_WEIGHTS) % 11
    codes[:, 16] = np.where(check == 10, _TAX_CHARS.index("X"), np.where(check == 11, 0, check))
    codes[:, 17] = (31 - (codes[:, :17] @ _TAX_WEIGHTS) % 31) % 31
    characters = np.ascontiguousarray(np.array(list(_TAX_CHARS))[codes])
    return characters.view("U18").ravel().tolist() if len(numbers) else []


class Product(NamedTuple):
    """A catalogue product; the list price is in CNY without tax."""

    code: str
    name: str
    category: str
    price: float


_CATEGORIES: tuple[tuple[str, str, int, tuple[str, ...]], ...] = (
    ("切削机床", "MC", 2800, (
        "刀柄组件", "刀塔", "数控车床", "立式加工中心",
        "卧式加工中心", "五轴加工中心", "龙门铣床", "柔性加工单元",
    )),
    ("工业机器人", "RB", 1900, (
        "夹爪", "示教器", "协作机器人", "四轴机器人",
        "六轴机器人", "码垛机器人", "焊接机器人", "机器人工作站",
    )),
    ("输送系统", "CV", 680, (
        "滚筒", "链板", "皮带输送机", "滚筒输送机",
        "分拣机", "提升机", "环形输送线", "立体库",
    )),
    ("液压设备", "HY", 450, (
        "密封件", "油管总成", "液压阀", "柱塞泵",
        "液压站", "伺服液压机", "折弯机", "液压成套",
    )),
    ("空压设备", "AC", 320, (
        "滤芯", "干燥机", "活塞空压机", "螺杆空压机",
        "变频空压机", "离心空压机", "空压站",
    )),
    ("检测仪器", "QA", 560, (
        "量块", "粗糙度仪", "影像测量仪", "硬度计",
        "三坐标测量机", "激光跟踪仪", "在线检测站",
    )),
    ("备品备件", "SP", 90, (
        "轴承", "导轨", "联轴器", "伺服电机",
        "减速机", "主轴", "控制柜",
    )),
    ("技术服务", "SV", 260, (
        "巡检工时", "点检套餐", "操作培训", "精度恢复",
        "年度保养", "产线改造", "软件授权",
    )),
)  # fmt: skip
_STEPS = (1, 3.1, 8.4, 19, 41, 78, 130, 210)  # price ladder inside a category


def products() -> list[Product]:
    """The 60 products, by category and rising price; the cheapest of each category fits any small order."""
    found = []
    for category, prefix, base, names in _CATEGORIES:
        for step, name in enumerate(names):
            found.append(Product(f"{prefix}-{step + 1:03d}", name, category, round(base * _STEPS[step], 2)))
    return found


N_CATEGORIES = len(_CATEGORIES)


class Owner(NamedTuple):
    """An account manager."""

    owner_id: str
    name: str
    email: str
    team: str


def owners(draws: Draws) -> list[Owner]:
    """The 12 account managers."""
    found = []
    numbers = np.arange(12, dtype=np.int64)
    given = draws.below("owner.given", len(GIVEN), numbers).tolist()
    for n, g in enumerate(given):
        surname, pinyin = SURNAMES[(n * 7 + draws.seed) % len(SURNAMES)]
        team = ("华东", "华南", "华北", "西部")[n % 4]
        found.append(Owner(f"U{n + 1:02d}", surname + GIVEN[g][0], f"{pinyin}{n + 1:02d}@sales.example", team))
    return found


class Calendar:
    """ISO texts of a range of days, looked up by ordinal instead of formatted row by row."""

    def __init__(self, first: int, last: int) -> None:
        days = [date.fromordinal(o) for o in range(first, last + 1)]
        self._base = first
        self._iso = np.array([d.isoformat() for d in days], dtype=object)
        self._month = np.array([d.month for d in days], dtype=np.int64)
        self._yymm = np.array([d.strftime("%y%m") for d in days], dtype=object)
        self._year = np.array([d.year for d in days], dtype=np.int64)
        minutes = [f"{h:02d}:{m:02d}" for h in range(24) for m in range(60)]
        self._time = np.array([f"{m}:{s:02d}" for m in minutes for s in range(60)], dtype=object)

    def iso(self, day: Ints) -> list[str]:
        """'YYYY-MM-DD' per day ordinal."""
        texts: list[str] = self._iso[day - self._base].tolist()
        return texts

    def stamp(self, seconds: Ints) -> list[str]:
        """'YYYY-MM-DD HH:MM:SS' per moment, given as day ordinal * 86400 + second of the day."""
        days, times = self._iso[seconds // 86400 - self._base], self._time[seconds % 86400]
        return [f"{d} {t}" for d, t in zip(days.tolist(), times.tolist(), strict=True)]

    def yymm(self, day: Ints) -> list[str]:
        """Two digits of the year and two of the month, as used in document numbers."""
        texts: list[str] = self._yymm[day - self._base].tolist()
        return texts

    def month(self, day: Ints) -> Ints:
        """Month 1..12 per day ordinal."""
        return self._month[day - self._base]

    def year(self, day: Ints) -> Ints:
        """Calendar year per day ordinal."""
        return self._year[day - self._base]
