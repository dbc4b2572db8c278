-- Rule signals of churn that need no model: fewer logins, months without an order, more complaints, an order slump.
-- Each with what was compared and over which days; thresholds are settings. Only customers that are not lost
-- already.
{%- set signals = {
    'login_drop': ('logins fell', '登录频率下降'),
    'no_orders': ('no order for months', '连续多月无订单'),
    'complaints_up': ('more complaints', '投诉增多'),
    'order_slump': ('orders slumped', '订单骤减'),
} %}
with features as (

    select * from {{ ref('fct_churn_features') }}

),

settings as (

    select * from {{ ref('int_churn_settings') }}

),

judged as (

    select
        features.customer_id,
        features.as_of_date,
        features.last_order_on,
        features.recency_days,
        features.logins_30d,
        features.logins_before_30d,
        features.complaints_90d,
        features.complaints_90d - features.complaints_change_90d as complaints_before_90d,
        features.orders_90d,
        features.orders_before_90d,
        settings.churn_login_drop,
        settings.churn_idle_months,
        settings.churn_complaint_increase,
        settings.churn_order_slump,
        features.logins_before_30d >= settings.churn_login_min
        and {{ ratio('features.logins_before_30d - features.logins_30d', 'features.logins_before_30d') }}
        >= settings.churn_login_drop as is_login_drop,
        features.last_order_on <= {{ months_before('features.as_of_date', 'settings.churn_idle_months') }}
            as is_no_orders,
        features.complaints_change_90d >= settings.churn_complaint_increase as is_complaints_up,
        features.orders_before_90d >= settings.churn_order_min
        and {{ ratio('features.orders_before_90d - features.orders_90d', 'features.orders_before_90d') }}
        >= settings.churn_order_slump as is_order_slump
    from features
    inner join settings
        on features.as_of_date = settings.as_of_date
    where features.is_active_buyer

),

fired as (

    select
        customer_id,
        as_of_date,
        'login_drop' as signal,
        logins_30d as value,
        logins_before_30d as value_before,
        churn_login_drop as threshold,
        {{ days_before('as_of_date', 59) }} as observed_from
    from judged
    where is_login_drop
    union all
    select
        customer_id,
        as_of_date,
        'no_orders' as signal,
        recency_days as value,
        cast(null as integer) as value_before,
        cast(churn_idle_months as decimal(24, 6)) as threshold,
        {{ day_after('last_order_on') }} as observed_from
    from judged
    where is_no_orders
    union all
    select
        customer_id,
        as_of_date,
        'complaints_up' as signal,
        complaints_90d as value,
        complaints_before_90d as value_before,
        cast(churn_complaint_increase as decimal(24, 6)) as threshold,
        {{ days_before('as_of_date', 179) }} as observed_from
    from judged
    where is_complaints_up
    union all
    select
        customer_id,
        as_of_date,
        'order_slump' as signal,
        orders_90d as value,
        orders_before_90d as value_before,
        churn_order_slump as threshold,
        {{ days_before('as_of_date', 179) }} as observed_from
    from judged
    where is_order_slump

)

select
    customer_id,
    as_of_date,
    signal,
    case signal
        {%- for code, (label_en, label_zh) in signals.items() %}
        when '{{ code }}' then '{{ label_en }}'
        {%- endfor %}
    end as label_en,
    case signal
        {%- for code, (label_en, label_zh) in signals.items() %}
        when '{{ code }}' then '{{ label_zh }}'
        {%- endfor %}
    end as label_zh,
    cast(value as integer) as value,
    cast(value_before as integer) as value_before,
    cast(threshold as decimal(24, 6)) as threshold,
    observed_from,
    as_of_date as observed_to
from fired
