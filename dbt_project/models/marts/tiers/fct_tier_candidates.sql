-- Customers whose tier deserves a second look: to lift (upgrade), to serve at lower cost (cost_cut) or to let go
-- (phase_out). A customer stands in one kind: whoever costs more than it should is not to be lifted as well. Of several
-- reasons of a kind the first one below counts. Schemes whose tiers have an order; the axes of a customer do not.
-- Thresholds are settings.
{%- set reasons = {
    'held_back': (
        'score already reaches a better tier; a stability rule or a person holds it back',
        '得分已达到更高等级，因稳定性规则或人工设定暂未上调'
    ),
    'needs_unmet': (
        'score reaches a better tier; a need of it is not met, or too little is known',
        '得分已达到更高等级，但有必要条件未满足或已知信息不足'
    ),
    'near_next_tier': ('little is missing to the threshold of the next better tier', '距上一等级的门槛很近'),
    'high_potential': ('high potential in a lower tier', '当前等级不高，但潜力高'),
    'low_margin_complaints': (
        'margin below the minimum and more complaints than the middle customer of the tier',
        '利润率低于下限，且投诉多于同级客户中位数'
    ),
    'low_margin_resolution': (
        'margin below the minimum and tickets take longer than for the middle customer of the tier',
        '利润率低于下限，且工单解决时长高于同级客户中位数'
    ),
    'loss': ('lowest tier and a loss over the spend window', '最低等级且在统计期内亏损'),
    'idle': ('lowest tier and no order for a long time', '最低等级且长期无交易'),
    'idle_pending': ('no order for so long that it can no longer be scored', '长期无交易，已无法评分'),
} %}
with tiers as (

    select * from {{ ref('fct_customer_tiers') }}

),

indicators as (

    select * from {{ ref('fct_customer_indicators') }}

),

settings as (

    select * from {{ ref('int_mart_settings') }}

),

schemes as (

    select * from {{ source('rules', 'schemes') }}

),

tier_ranks as (

    select * from {{ source('rules', 'tiers') }}

),

tier_bands as (

    select * from {{ source('rules', 'tier_bands') }}

),

lowest_ranks as (

    select
        rules_version,
        scheme,
        max(tier_rank) as lowest_rank
    from tier_ranks
    group by rules_version, scheme

),

next_tiers as (

    select
        own.rules_version,
        own.scheme,
        own.tier,
        better.tier as next_tier,
        row_number() over (
            partition by own.rules_version, own.scheme, own.tier
            order by better.tier_rank desc, better.tier asc
        ) as nearness
    from tier_ranks as own
    inner join tier_ranks as better
        on
            own.rules_version = better.rules_version
            and own.scheme = better.scheme
            and own.tier_rank > better.tier_rank

),

-- The edge that a score has to reach; the better tier may also lie below (days overdue).
thresholds as (

    select
        next_tiers.rules_version,
        next_tiers.scheme,
        next_tiers.tier,
        coalesce(better.lower_bound >= own.upper_bound, false) as is_above,
        case when better.lower_bound >= own.upper_bound then better.lower_bound else better.upper_bound end
            as threshold,
        case when better.lower_bound >= own.upper_bound then better.lower_included else better.upper_included end
            as is_threshold_included
    from next_tiers
    inner join schemes
        on
            next_tiers.rules_version = schemes.rules_version
            and next_tiers.scheme = schemes.scheme
    inner join tier_bands as own
        on
            next_tiers.rules_version = own.rules_version
            and next_tiers.scheme = own.scheme
            and next_tiers.tier = own.tier
    inner join tier_bands as better
        on
            next_tiers.rules_version = better.rules_version
            and next_tiers.scheme = better.scheme
            and next_tiers.next_tier = better.tier
            and own.dimension = better.dimension
    where
        next_tiers.nearness = 1
        and (
            (schemes.kind = 'weighted' and own.dimension = '')
            or (schemes.kind = 'bands' and own.dimension <> '')
        )

),

placed as (

    select
        tiers.customer_id,
        tiers.scheme,
        tiers.as_of_date,
        tiers.effective_tier,
        tiers.computed_tier,
        tiers.score,
        tiers.is_high_potential,
        own_ranks.tier_rank as effective_rank,
        computed_ranks.tier_rank as computed_rank,
        lowest_ranks.lowest_rank,
        next_tiers.next_tier,
        thresholds.threshold,
        thresholds.is_threshold_included,
        case
            when thresholds.is_above then thresholds.threshold - tiers.score
            else tiers.score - thresholds.threshold
        end as missing_score,
        settings.upgrade_distance,
        settings.upgrade_potential_rank,
        settings.cost_cut_margin,
        settings.phase_out_idle_days,
        indicators.profit_margin,
        indicators.profit_contribution,
        indicators.recency_days,
        indicators.complaints,
        indicators.resolution_hours
    from tiers
    inner join indicators
        on
            tiers.customer_id = indicators.customer_id
            and tiers.as_of_date = indicators.as_of_date
    inner join settings
        on tiers.as_of_date = settings.as_of_date
    inner join schemes
        on
            settings.rules_version = schemes.rules_version
            and tiers.scheme = schemes.scheme
    inner join lowest_ranks
        on
            settings.rules_version = lowest_ranks.rules_version
            and tiers.scheme = lowest_ranks.scheme
    left join tier_ranks as own_ranks
        on
            settings.rules_version = own_ranks.rules_version
            and tiers.scheme = own_ranks.scheme
            and tiers.effective_tier = own_ranks.tier
    left join tier_ranks as computed_ranks
        on
            settings.rules_version = computed_ranks.rules_version
            and tiers.scheme = computed_ranks.scheme
            and tiers.computed_tier = computed_ranks.tier
    left join next_tiers
        on
            settings.rules_version = next_tiers.rules_version
            and tiers.scheme = next_tiers.scheme
            and tiers.effective_tier = next_tiers.tier
            and next_tiers.nearness = 1
    left join thresholds
        on
            settings.rules_version = thresholds.rules_version
            and tiers.scheme = thresholds.scheme
            and tiers.effective_tier = thresholds.tier
    where schemes.kind <> 'axes'

),

tier_medians as (

    select
        scheme,
        effective_tier,
        as_of_date,
        {{ median_of('complaints') }} as median_complaints,
        {{ median_of('resolution_hours') }} as median_resolution_hours
    from placed
    group by scheme, effective_tier, as_of_date

),

judged as (

    select
        placed.customer_id,
        placed.scheme,
        placed.as_of_date,
        placed.effective_tier,
        placed.score,
        placed.threshold,
        case when placed.missing_score > 0 then placed.missing_score else placed.missing_score * 0 end as distance,
        placed.profit_margin,
        placed.profit_contribution,
        placed.recency_days,
        placed.complaints,
        placed.resolution_hours,
        tier_medians.median_complaints,
        tier_medians.median_resolution_hours,
        case when placed.computed_rank < placed.effective_rank then placed.computed_tier else placed.next_tier end
            as target_tier,
        case
            when placed.computed_rank < placed.effective_rank then 'held_back'
            when
                placed.missing_score < 0
                or (placed.missing_score = 0 and placed.is_threshold_included)
                then 'needs_unmet'
            when placed.missing_score <= placed.upgrade_distance * abs(placed.threshold) then 'near_next_tier'
            when placed.is_high_potential and placed.effective_rank >= placed.upgrade_potential_rank
                then 'high_potential'
        end as upgrade_reason,
        case
            when
                placed.effective_rank < placed.lowest_rank
                and (placed.profit_margin < placed.cost_cut_margin or placed.profit_contribution < 0)
                then
                    case
                        when placed.complaints > tier_medians.median_complaints then 'low_margin_complaints'
                        when placed.resolution_hours > tier_medians.median_resolution_hours
                            then 'low_margin_resolution'
                    end
        end as cost_cut_reason,
        case
            when placed.effective_rank = placed.lowest_rank and placed.profit_contribution < 0 then 'loss'
            when placed.effective_rank = placed.lowest_rank and placed.recency_days >= placed.phase_out_idle_days
                then 'idle'
            when placed.effective_tier = 'pending' and placed.recency_days >= placed.phase_out_idle_days
                then 'idle_pending'
        end as phase_out_reason
    from placed
    inner join tier_medians
        on
            placed.scheme = tier_medians.scheme
            and placed.effective_tier = tier_medians.effective_tier
            and placed.as_of_date = tier_medians.as_of_date

),

candidates as (

    {% for kind in ['upgrade', 'cost_cut', 'phase_out'] -%}
    select
        customer_id,
        scheme,
        as_of_date,
        '{{ kind }}' as kind,
        effective_tier as tier,
        {{ "target_tier" if kind == "upgrade" else "cast(null as varchar)" }} as target_tier,
        {{ kind }}_reason as reason,
        score,
        {{ "threshold" if kind == "upgrade" else "cast(null as decimal(24, 6))" }} as threshold,
        {{ "distance" if kind == "upgrade" else "cast(null as decimal(30, 12))" }} as distance,
        profit_margin,
        profit_contribution,
        recency_days,
        complaints,
        {{ "median_complaints" if kind == "cost_cut" else "cast(null as decimal(24, 6))" }} as median_complaints,
        resolution_hours,
        {{ "median_resolution_hours" if kind == "cost_cut" else "cast(null as decimal(24, 6))" }}
            as median_resolution_hours
    from judged
    where
        {{ kind }}_reason is not null
        {{ "and coalesce(cost_cut_reason, phase_out_reason) is null" if kind == "upgrade" }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

)

select
    customer_id,
    scheme,
    as_of_date,
    kind,
    tier,
    target_tier,
    reason,
    case reason
        {%- for code, (text_en, text_zh) in reasons.items() %}
        when '{{ code }}' then '{{ text_en }}'
        {%- endfor %}
    end as reason_en,
    case reason
        {%- for code, (text_en, text_zh) in reasons.items() %}
        when '{{ code }}' then '{{ text_zh }}'
        {%- endfor %}
    end as reason_zh,
    score,
    threshold,
    cast(distance as decimal(30, 12)) as distance,
    profit_margin,
    profit_contribution,
    recency_days,
    complaints,
    median_complaints as tier_median_complaints,
    resolution_hours,
    median_resolution_hours as tier_median_resolution_hours
from candidates
