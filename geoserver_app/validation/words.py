"""The words of a validation report, Chinese and English side by side: its findings by code, and the sentences of refused files by their shape."""

import re
from collections.abc import Mapping

from geoserver_app.validation import vector_words

FINDINGS = {
    "crs-declared": ("文件未注明坐标系，按申报的 {crs} 处理", "the file states no CRS; {crs} was declared"),
    "told": ("{sentence}", "{sentence}"),
    "copy-in-delivery": ("与本批中的 {of} 内容完全相同，只取其一", "a copy of {of} in the same delivery: one of them is taken"),
    "copy-served": ("内容与已发布的 {where} 中的文件完全相同", "the same content is served already in {where}"),
    "unchanged": ("与本版中已发布的内容相同，不作更改", "served already in this edition, unchanged"),
    "replaces": ("将替换 {name}（现势性 {currency}）", "replaces {name} (currency {currency})"),
    "older-than-served": ("现势性 {new} 早于已发布的 {old}", "its currency {new} is older than {old}, which is served"),
    "sheet-not-filled": ("图幅有 {percent}% 没有数据", "{percent}% of its sheet frame holds no data"),
    "loose-ends": ("{table} 与 {other} 接边：{ends} 个线端中 {loose} 个没有对应", "{loose} of {ends} ends of {table} at the edge with {other} have no partner there"),
    "step-at-seam": ("与 {other} 接边处高差中误差 {rms} 米，最大 {most} 米", "differs from {other} at their seam by RMS {rms} m, at most {most} m"),
}

STATES = {"good": ("合格", "good"), "warned": ("需查看", "look at it"), "refused": ("退回", "refused")}

# Sentences of `LayerRejected` and warnings of lineages: a pattern of the English, then the Chinese with its groups.
SHAPES = tuple((re.compile(pattern), chinese) for pattern, chinese in (
    *vector_words.SHAPES,
    (r"the file is empty", "文件为空"),
    (r"it begins with nothing but zeros.*", "文件开头全为零，未写完整"),
    (r"it begins like (?:an? )?(.+?)(?: file)? but can't be opened: it is truncated or damaged", "开头像 {0}，但打不开：文件被截断或已损坏"),
    (r"a part of it can't be read: it is truncated or damaged", "部分内容读不出：文件被截断或已损坏"),
    (r"it is (.+), not what its name says", "它其实是 {0}，与扩展名不符"),
    (r"it is not an? (.+)", "它不是 {0}"),
    (r"it is a VCT file \(GB/T 17798(.*)\), which is not taken in", "它是 VCT 文件（GB/T 17798{0}），本系统不入库"),
    (r"it is a VRT.*", "它是 VRT，只指向别的文件"),
    (r"it is a web page.*", "它是网页（可能是登录页或出错页），不是影像"),
    (r"it is XML.*", "它是 XML，不是影像"),
    (r"it does not say in which CRS it is", "文件没有说明坐标系"),
    (r"it says that it is in `(.+)`, you say `(.+)`", "文件写明坐标系为 {0}，而申报为 {1}"),
    (r"its centre \((.+)\) lies outside where `(.+)` is used", "中心点（{0}）不在 {1} 的使用范围内"),
    (r"its name says sheet `(.+?)`, but (?:.+) \(file (.+), sheet (.+), in (.+)\)", "文件名为图幅 {0}，但位置不符（文件 {1}；图幅 {2}；{3}）"),
    (r"its name says sheet `(.+?)`.*", "文件名为图幅 {0}，但位置不符"),
    (r"(.*)(Xian 1980|Beijing 1954|New Beijing)(.*)", "基准为 {1}：没有登记经批准的转换，不能入库"),
    (r"its grid is rotated", "格网有旋转"), (r"its grid is turned by Alpha (.+)", "格网旋转 Alpha={0}"),
    (r"its first row is not the northernmost.*", "首行不在最北或首列不在最西"),
    (r"it is placed by ground control points.*", "仅有控制点定位，没有格网"), (r"it has no georeferencing", "没有地理定位"),
    (r"it has no band", "没有波段"), (r"its cells are complex numbers.*", "像元是复数"),
    (r"a DEM has 1 band, this file has (\d+)", "DEM 应为 1 个波段，本文件有 {0} 个"),
    (r"a DOM has 1, 3 or 4 bands, this file has (\d+)", "DOM 应为 1、3 或 4 个波段，本文件有 {0} 个"),
    (r"a DOM has cells of 8 or 16 bits, this file has (.+)", "DOM 应为 8 或 16 位，本文件为 {0}"),
    (r"it is a picture with a palette, not a DEM", "它是调色板图像，不是 DEM"), (r"its heights are in `(.+)`", "高程单位为 {0}"),
    (r"not one of its cells is valid", "没有一个有效像元"),
    (r"([\d,]+) of ([\d,]+) cells are no heights \((.+) m\).*", "{1} 个像元中有 {0} 个不是高程（{2} 米），且文件未注明无效值"),
    (r"a text grid names no datum; its eastings begin with zone (\d+), of (\d) degrees", "文本格网不含基准信息；其东坐标带号为 {0}（{1} 度带）"),
    (r"a text grid names no datum.*", "文本格网不含基准信息，东坐标也没有带号"),
    (r"its eastings begin with zone (\d+), of (\d) degrees, but `(.+)` is not.*", "东坐标带号为 {0}（{1} 度带），与申报的 {2} 不符"),
    (r"its values are packed.*", "数值经过压缩（Compress），不能入库"),
    (r"its head says ([\d,]+) rows of ([\d,]+) columns, which is ([\d,]+) values, but it holds (.+)", "文件头为 {0} 行 {1} 列，共 {2} 个数，实际为 {3}"),
    (r"its head ends after (\d+) lines.*", "文件头只有 {0} 行"), (r"its head has no `(.+)`", "文件头缺少 {0}"),
    (r"its `(.+)` is `?(.+?)`?(?:, which is no number|: a decimal comma)?", "文件头 {0} 的值 {1} 不对"),
    (r"its (cellsize|HZoom|unit|ValueType) is `?(.+?)`?", "文件头 {0} 的值 {1} 不对"), (r"its unit `(.+)` is none of.*", "单位 {0} 不对"),
    (r"`(.*)` in row (.+), column (.+) is no number", "第 {1} 行第 {2} 列的 {0} 不是数"), (r"`(.*)` in (.+) is no number", "{1} 的 {0} 不是数"),
    (r"a cell holds (.+): a CNSDTF-RAS is.*", "有像元为 {0}：CNSDTF-RAS 只收 0 到 255 的整数"), (r"its `(.+)` (.+) is no DDDMMSS", "{0} 的值 {1} 不是度分秒"),
    (r"its head has a line `(.+)` that an ASCII grid has not", "文件头有一行 {0}，不属于 ASCII 格网"),
    (r"it has (.+) bytes, more than the (.+) that a file may have", "文件有 {0} 字节，超过上限 {1}"), (r"its name is too long", "文件名太长"),
    (r"it holds (.+) bytes, but the disk has room for (.+)", "共 {0} 字节，磁盘只余 {1}"), (r"it holds (.+) bytes, more than the (.+) that a delivery may", "共 {0} 字节，超过上限 {1}"),
    (r"it holds more than (.+) files", "文件超过 {0} 个"), (r"it is neither UTF-8 nor GB18030", "既不是 UTF-8 也不是 GB18030"),
    (r"it is too large for a table of sheets", "作为图幅表过大"), (r"it was changed in the store while it was fetched", "取数期间对象存储中的文件变了"),
    (r"its first line has neither a column `file` nor `number`", "首行没有 file 或 number 列"), (r"it has a column `(.+)`", "有不认识的列 {0}"),
    (r"line (\d+) names neither a file nor a sheet number", "第 {0} 行既没有文件名也没有图号"), (r"line (\d+): `(.+)` is no classification", "第 {0} 行：{1} 不是密级"),
    (r"line (\d+): `(.+)` is not a date", "第 {0} 行：{1} 不是日期"), (r"line (\d+): `(.+)` is not a sheet number", "第 {0} 行：{1} 不是图号"),
    (r"the address holds more than a bucket and a prefix", "地址中除桶和前缀外还有别的内容"),
    (r"it has ([\d,]+) x ([\d,]+) cells, more than.*", "{0} × {1} 个像元，超过上限"),
    (r"it says ([\d,]+) x ([\d,]+) cells, but its ([\d,]+) bytes.*", "声称有 {0} × {1} 个像元，但 {2} 字节装不下"),
    (r"its blocks of (.+) cells are too large.*", "分块（{0}）过大，无法逐块读取"),
    (r"its pixels lie in `(.+)`, which is missing", "像元存于 {0}，但该文件缺失"),
    (r"it points at a file that does not lie beside it", "它指向不在旁边的文件"), (r"it names another file as its overviews", "它把别的文件当作金字塔"),
    (r"its own grid begins at .+ its world file `(.+?)` at.*", "自身格网与坐标文件 {0} 不一致"),
    (r"its world file `(.+?)` .*", "坐标文件 {0} 有误"), (r"`(.+)` beside it (.*)", "旁边的 {0} 有误"), (r"its mask `(.+)` is not.*", "掩膜文件 {0} 有误"),
    (r"`(.+)` was given twice with different content \(`(.+)`\)", "{0} 给了两份，内容不同（{1}）"),
    (r"the delivery says that it is (.+?), but .*", "交付说明密级为 {0}，高于图层或本系统允许的密级"),
    (r"there is no such file", "没有这个文件"), (r"the folder holds no file of the kind (.+)", "文件夹中没有可入库的文件（{0}）"),
    (r"it is a link, not a file", "它是链接，不是文件"), (r"its name in the archive leads out of it", "压缩包内的文件名指向包外"),
    (r"it is encrypted", "已加密"), (r"it is packed by a method.*", "压缩方法不受支持"), (r"it claims ([\d,]+) bytes unpacked from ([\d,]+)", "声称由 {1} 字节解出 {0} 字节"),
    (r"it can't be unpacked.*", "解压失败：压缩包在此处损坏"), (r"there are two files of that name in one folder.*", "同一文件夹内有两个同名文件"),
    (r"it is not a zip archive, or is truncated", "它不是 zip 压缩包，或被截断"),
    (r"the store refuses us", "对象存储拒绝访问"), (r"the store can't be reached", "连不上对象存储"), (r"the store knows no such bucket or object", "对象存储中没有此桶或对象"),
    (r"there is no object of that prefix", "该前缀下没有对象"),
    # How to mend it.
    (r"deliver it again", "请重新提交"), (r"correct the head, or deliver it again", "请改正文件头，或重新提交"), (r"complete the head", "请补全文件头"),
    (r"correct the head(?:: (.*))?", "请改正文件头"), (r"complete it", "请补全"), (r"begin it with (.+)", "首行写 {0}"), (r"its columns are (.+)", "可用的列：{0}"),
    (r"keep one of them", "请只留一份"), (r"cut it into sheets", "请按图幅裁切"), (r"deliver it in parts", "请分批提交"), (r"make room, or deliver it in parts", "请腾出空间，或分批提交"),
    (r"deliver it unpacked if that is meant", "如确实如此，请不压缩提交"), (r"deliver that file beside it", "请把该文件放在旁边一起提交"), (r"deliver those files", "请提交它所指的文件"),
    (r"deliver the archive without a password", "请提交不加密的压缩包"), (r"deliver it in one file.*", "请存成单个文件，例如 gdal_translate -of GTiff"),
    (r"deliver it as `.zip`, or unpack it", "请以 .zip 提交或先解压"), (r"deliver heights as Integer", "高程请用 Integer"), (r"deliver real numbers", "请提交实数"),
    (r"export it as GeoPackage or Shapefile", "请导出为 GeoPackage 或 Shapefile"), (r"export the picture as GeoTIFF", "请导出为 GeoTIFF"),
    (r"fetch the file again", "请重新取文件"), (r"fetch the file itself", "请取文件本身"), (r"unpack it", "请先解压"),
    (r"give NSDTF-DEM, CNSDTF-DEM or an ESRI ASCII grid", "请提交 NSDTF-DEM、CNSDTF-DEM 或 ESRI ASCII 格网"), (r"give an? (.+), for instance by (.+)", "请提交 {0}，例如用 {1}"),
    (r"give an? (.+)", "请提交 {0}"), (r"give credentials by the environment", "密钥请用环境变量给出"),
    (r"give the raster itself", "请提交栅格本身"), (r"give the right file", "请提交正确的文件"), (r"give `--product (\w+)`.*", "请改用 --product {0}"),
    (r"pick red, green and blue.*", "请选出红绿蓝三个波段"), (r"make it north-up.*", "请改为正北向上，例如用 gdalwarp"), (r"rectify it.*", "请先纠正，例如用 gdalwarp"),
    (r"convert it to 8 bits", "请转成 8 位"), (r"convert them to metres", "请换算成米"), (r"convert it to (.+?)(?:, with its place| where its licence lies)?", "请转成 {0}"),
    (r"correct the name or the coordinates", "请改正文件名或坐标"), (r"leave `--crs` out, or correct the file", "请去掉 --crs，或改正文件"),
    (r"put its world file \(\.tfw\) beside it.*", "请把坐标文件（.tfw）放在旁边，或提交带格网的 GeoTIFF"),
    (r"name it (?!by)`(.+?)`(.*)", "请改名为 {0}"), (r"name it by its code.*", "请用代码说明：--crs EPSG:n"), (r"name the right folder", "请指定正确的文件夹"),
    (r"pack it anew with plain Deflate.*", "请用普通 Deflate 重新压缩，或不压缩"), (r"pack the folder anew", "请重新打包"), (r"put the file itself into the archive", "请把文件本身放进压缩包"),
    (r"remove it", "请删去"), (r"remove it and say `--crs EPSG:n`", "请删去，并用 --crs EPSG:n 说明"), (r"remove it, or deliver the right one", "请删去，或换成正确的"),
    (r"remove the one that is wrong", "请删去错的那个"), (r"run the same command again", "请再运行同一命令"), (r"save it as UTF-8", "请存为 UTF-8"),
    (r"say `--crs (.+?)` if it is in CGCS2000, (?:else its own CRS|or correct the coordinates)", "若为 CGCS2000 请用 --crs {0}，否则用其自己的坐标系"),
    (r"say (?:so|its CRS|its true CRS) with `--crs EPSG:n`.*", "请用 --crs EPSG:n 说明坐标系，注意带号"), (r"say `--nodata (.+?)`.*", "请用 --nodata {0}；若确为高程则用 --unusual-heights"),
    (r"see AWS_ACCESS_KEY_ID.*", "请检查 AWS_ACCESS_KEY_ID 与 AWS_SECRET_ACCESS_KEY 及其读取权限"), (r"see AWS_ENDPOINT_URL.*", "请检查 AWS_ENDPOINT_URL 与 AWS_REGION 后再试：已取的不会丢"),
    (r"see its name and folder", "请检查文件名和文件夹"), (r"see the bucket and the prefix", "请检查桶和前缀"), (r"see that its nodata and alpha are right", "请检查无效值和透明通道"),
    (r"shorten it to (.+) bytes", "请缩短到 {0} 字节以内"), (r"take it to an instance that may hold it", "请交到允许存放它的系统"), (r"add it to a layer of its own classification", "请加入同密级的图层"),
    (r"write it again with Compress 0", "请以 Compress 0 重写"), (r"write it again with tiles.*", "请分块重写，例如 gdal_translate -co TILED=YES"), (r"write it again without them.*", "请去掉后重写，例如用 gdal_translate"),
    (r"write it anew(?:: .*)?", "请重写"), (r"write it like (.+)", "请写成 {0}"), (r"write it with decimal points", "请用小数点"), (r"write one like (.+)", "请写成 {0} 这样"),
    (r"write one of (.+)", "请写 {0} 之一"), (r"separate values by spaces, and write decimals with points", "请用空格分隔，用小数点"),
    (r"register an approved transformation, or deliver the data in CGCS2000", "请登记经批准的转换，或提交 CGCS2000 成果"),

    (r"X0 and Y0 were swapped.*", "X0 与 Y0 写反了，已纠正"), (r"(\d+) cells lie outside (.+) m", "{0} 个像元超出 {1} 米"),
    (r"the declared nodata (.+?) never occurs.*", "注明的无效值 {0} 从未出现，但四周有一圈 0"),
    (r"its own grid and the world file `(.+)` differ by half a cell.*", "自身格网与坐标文件 {0} 相差半个像元，以自身为准"),
    (r"it is a link that leads out of the folder, and was left out", "它是指向文件夹之外的链接，未取"),
    (r"([\d,]+) files are called something else than (\w+) \(`(.+)`\), and were left out", "有 {0} 个文件名不是 {1}（如 {2}），未取"),
    (r"an archive within the delivery is not opened, and was left out: unpack it first", "成果包内的压缩包不打开，未取：请先解压"),
    (r"([\d,]+) files are of no kind that is taken in, and were left out", "有 {0} 个文件不属可入库的种类，未取"),
    (r"it is (an? .+)", "它是 {0}"),
))


def finding_in_words(code: str, values: Mapping) -> tuple[str, str]:
    """Chinese and English of one finding."""
    if code == "told":
        return in_chinese(str(values["sentence"])), str(values["sentence"])
    chinese, english = FINDINGS[code]
    return chinese.format(**values), english.format(**values)


def told_in_chinese(sentence: str) -> str:
    """What was left out of a delivery, `name: why: how to mend it` or `name: why`, in Chinese; as it is where its shape is not known.

    >>> told_in_chinese("a.dwg: it is a DWG drawing: a closed format without CRS and attributes: deliver it again")
    'a.dwg：它是 DWG 图形：格式不公开，没有坐标系和属性：请重新提交'
    """
    name, *parts = sentence.split(": ")
    for cut in (*range(len(parts) - 1, 0, -1), len(parts)):
        told = [": ".join(words) for words in (parts[:cut], parts[cut:]) if words]
        if all(in_chinese(words) != words for words in told):
            return "：".join((name, *map(in_chinese, told)))
    return sentence


def in_chinese(sentence: str) -> str:
    """A sentence about a file in Chinese; as it is where its shape is not known.

    >>> in_chinese("a DEM has 1 band, this file has 3")
    'DEM 应为 1 个波段，本文件有 3 个'
    """
    for pattern, chinese in SHAPES:
        if match := pattern.fullmatch(sentence):
            return chinese.format(*(group or "" for group in match.groups()))
    return sentence
